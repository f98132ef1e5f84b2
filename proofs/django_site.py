"""A Django site of one file: its own login form with the hidden token, sessions, and pages for who is logged in."""

import os
import threading
from collections import Counter

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

settings.configure(
    SECRET_KEY="proof",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SITE_DATABASE"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    # A slow hash would be all that is measured.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"registration/login.html": "<form method=post>{% csrf_token %}{{ form.as_p }}</form>"},
                    )
                ]
            },
        }
    ],
    CSRF_FAILURE_VIEW=f"{__name__}.refused",
    LOGIN_REDIRECT_URL="/orders",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.signals import user_logged_in, user_login_failed  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.http import HttpResponse, HttpResponseForbidden, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

lock = threading.Lock()
counted = Counter()
users = set()


def note(what, user=None):
    with lock:
        counted[what] += 1
        if user:
            users.add(user)


user_logged_in.connect(lambda user, **_: note("logins", user.username), weak=False)
user_login_failed.connect(lambda **_: note("wrong"), weak=False)


def refused(request, reason=""):
    note("refused")
    return HttpResponseForbidden(reason)


@login_required(login_url="/login")
def orders(request):
    note("orders")
    return HttpResponse(f"<p>order of {request.user.username}</p>")


@login_required(login_url="/login")
def order(request):
    note("ordered")
    return HttpResponse("ordered", status=201)


def count(request):
    with lock:
        return JsonResponse({**counted, "users": len(users)})


urlpatterns = [
    path("login", LoginView.as_view()),
    path("orders", orders),
    path("order", order),
    path("count", count),
]

call_command("migrate", verbosity=0)
User.objects.bulk_create([User(username=f"user{n}", password=make_password(f"secret{n}")) for n in range(200)])
application = get_wsgi_application()
