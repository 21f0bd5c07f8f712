"""Serve a search over HTTP: English documents that the teacher reads, questions that the student reads.

MODEL=outputs/swahili/model DOCUMENTS=documents.jsonl uvicorn app:app --app-dir examples/serve
curl -X POST localhost:8000/search -H 'content-type: application/json' -d '{"question": "mbuzi analala wapi?"}'
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sentence_transformers import SentenceTransformer

from hf_optical.data.search_documents import read_search_documents
from hf_optical.search import MemoryIndex


class Question(BaseModel):
    """What is asked."""

    question: str = Field(min_length=1)
    top_k: int = Field(5, ge=1, le=100)
    hybrid: bool = False  # BM25 beside the vectors


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    teacher = SentenceTransformer(os.environ.get("TEACHER", "sentence-transformers/all-MiniLM-L6-v2"))
    documents = read_search_documents(os.environ["DOCUMENTS"])
    app.state.index = MemoryIndex(teacher, SentenceTransformer(os.environ["MODEL"]))
    app.state.index.add(list(documents), list(documents.values()))
    app.state.documents = documents
    yield


app = FastAPI(title="hf-optical search", lifespan=lifespan)


@app.post("/search")
def search(asked: Question) -> list[dict[str, str | float]]:
    hits = app.state.index.query([asked.question], top_k=asked.top_k, hybrid=asked.hybrid)[0]
    return [{"id": hit.id, "score": hit.score, "text": app.state.documents[hit.id]} for hit in hits]
