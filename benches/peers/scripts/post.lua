-- wrk's way to send a body.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"id":"6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11","user":"u1","text":"what breaks first?"}'
