"""The master needs a class of users; what they do is in the profile of breakpoint's workers."""

from locust import User, constant, task


class Vu(User):
    wait_time = constant(1)

    @task
    def nothing(self):
        pass
