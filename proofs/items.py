"""An API as FastAPI makes one; the profile is made of its own /openapi.json."""

import threading
from collections import Counter
from typing import Annotated

from fastapi import FastAPI, File, Form, HTTPException, UploadFile
from pydantic import BaseModel, Field

app = FastAPI(title="items")
lock = threading.Lock()
counted = Counter()
items: dict[int, dict] = {}


class Item(BaseModel):
    """What a client says of an item; the example must keep to all of it."""

    code: str = Field(pattern=r"^[A-Z]{2}-\d{3}$")
    price: float = Field(gt=0, lt=1)
    count: int = Field(gt=4, multiple_of=5)
    tags: list[str] = Field(min_length=2)


class Kept(Item):
    """An item that is kept."""

    id: int


def note(what: str) -> None:
    with lock:
        counted[what] += 1


@app.post("/items", status_code=201)
def create(item: Item) -> Kept:
    note("created")
    with lock:
        kept = Kept(id=1000 + len(items), **item.model_dump())
        items[kept.id] = kept.model_dump()
    return kept


@app.get("/items/{item_id}")
def read(item_id: int) -> Kept:
    if item_id not in items:
        raise HTTPException(404)
    note("read")
    return Kept(**items[item_id])


@app.post("/photos", status_code=201)
def upload(photo: Annotated[UploadFile, File()], title: Annotated[str, Form(max_length=20)]) -> dict:
    note("uploaded")
    return {"bytes": len(photo.file.read()), "title": title}


@app.get("/count", include_in_schema=False)
def count() -> dict:
    with lock:
        return dict(counted)
