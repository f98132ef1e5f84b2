"""k9-load as a peer of scripts: WORK says what every user does."""

import os

import k9

URL, WORK = os.environ["URL"], os.environ["WORK"]
BODY = {"id": "6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11", "user": "u1", "text": "what breaks first?"}

options = {"vus": int(os.environ["VUS"]), "duration": os.environ["SECONDS"] + "s"}


async def simple():
    res = await k9.http.get(f"{URL}/get")
    k9.check(res, {"status is 200": lambda r: r.status == 200})


async def typical():
    res = await k9.http.post(f"{URL}/session", json=BODY)
    k9.check(res, {
        "status is 200": lambda r: r.status == 200,
        "it is ok": lambda r: r.json()["ok"] is True,
        "it has items": lambda r: len(r.json()["items"]) > 0,
        "it is quick": lambda r: r.timings.duration < 60000,
    })
    item = next(i["id"] for i in res.json()["items"] if i["price"] > 4)
    got = await k9.http.get(f"{URL}/get?item={item}", tags={"name": "item"})
    k9.check(got, {"the item is there": lambda r: r.status == 200})


default = {"script": simple, "typical": typical}[WORK]
