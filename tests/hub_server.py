"""A small server on loopback that speaks the Hub's upload and download API, as far as its own client asks for it.

Git LFS for weights, regular commits for the rest, ETags, commit headers, error codes. Repositories live in memory.
It is there to be driven by the unmodified ``huggingface_hub``: ``HF_ENDPOINT=server.url HF_HUB_DISABLE_XET=1``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml

TOKEN = "hf_loopback"
_LFS = (".safetensors", ".bin", ".parquet", ".arrow")
_TYPES = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}


class Repository:
    """Branches of commits; a commit is a mapping of paths to (object id, size, whether LFS)."""

    def __init__(self, private: bool) -> None:
        self.private = private
        self.commits: list[tuple[str, dict[str, tuple[str, int, bool]]]] = [(hashlib.sha1(b"first").hexdigest(), {})]
        self.branches = {"main": self.commits[0][0]}

    def files(self, revision: str) -> tuple[str, dict[str, tuple[str, int, bool]]] | None:
        wanted = self.branches.get(revision, revision)
        return next(((sha, files) for sha, files in self.commits if sha == wanted), None)

    def commit(self, branch: str, files: dict[str, tuple[str, int, bool]]) -> str:
        sha = hashlib.sha1(json.dumps([self.branches[branch], sorted(files.items())]).encode()).hexdigest()
        self.commits.append((sha, files))
        self.branches[branch] = sha
        return sha


class Hub(ThreadingHTTPServer):
    """The server; use as a context manager.

    ``log`` lists (method, path, bytes of the body). ``full`` makes it refuse objects for lack of room,
    ``hold`` makes an upload of so many bytes or more wait until it is released, as a slow line would.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, str, int]] = []
        self.full = False
        self.hold: int | None = None
        self.held, self.released = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def uploads(self) -> list[tuple[str, int]]:
        """Objects that arrived whole: (id, bytes)."""
        return [(path.rpartition("/")[2], size) for method, path, size in self.log if method == "PUT"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the tests."""


class _Refusal(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        self.path, _, query = self.path.partition("?")
        self.path, self.query = unquote(self.path), parse_qs(query)
        try:
            self.body = self._read()
            with self.server.lock:
                self.server.log.append((self.command, self.path, len(self.body)))
                self._authenticate()
                for pattern, method in _ROUTES:
                    if match := re.fullmatch(pattern, f"{self.command} {self.path}"):
                        method(self, **match.groupdict())
                        return
            raise _Refusal(404, f"no such route: {self.command} {self.path}")
        except _Refusal as refusal:
            headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            self._send(refusal.status, {"error": refusal.message}, headers)

    def _read(self) -> bytes:
        size = int(self.headers.get("Content-Length") or 0)
        if self.command == "PUT" and self.server.hold is not None and size >= self.server.hold:
            self.server.held.set()
            self.server.released.wait(900)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while count := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(count)
                self.rfile.readline()
            self.rfile.readline()
            return body
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("the client went away")
        return body

    def _authenticate(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given != TOKEN:
            raise _Refusal(401, "Invalid credentials in Authorization header")
        self.known = given == TOKEN

    def _write_access(self) -> None:
        if not self.known:
            raise _Refusal(401, "Unauthorized")

    def _send(self, status: int, content: Any = None, headers: dict[str, str] | None = None, raw: bytes = b"") -> None:
        body = raw if content is None else json.dumps(content).encode()
        self.send_response(status)
        names = {name.lower() for name in headers or {}}
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "content-type" not in names:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _repository(self, kind: str, repo: str) -> Repository:
        found = self.server.repositories.get((kind, repo))
        if found is None or (found.private and not self.known):
            raise _Refusal(404 if self.known else 401, "Repository not found", "RepoNotFound")
        return found

    def _files(self, kind: str, repo: str, revision: str) -> tuple[str, dict[str, tuple[str, int, bool]]]:
        found = self._repository(kind, repo).files(revision)
        if found is None:
            raise _Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    # Routes

    def _whoami(self) -> None:
        self._write_access()
        self._send(200, {"type": "user", "name": "me", "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    def _create(self) -> None:
        self._write_access()
        asked = json.loads(self.body)
        kind = f"{asked.get('type') or 'model'}s"
        repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if repo.startswith("other/"):
            raise _Refusal(403, "You don't have the rights to create a model under this namespace")
        url = f"{self.server.url}/{_TYPES[kind]}{repo}"
        if (kind, repo) in self.server.repositories:
            self._send(409, {"error": "You already created this repo", "url": url})
            return
        private = asked.get("private", asked.get("visibility") == "private")
        self.server.repositories[kind, repo] = Repository(bool(private))
        self._send(200, {"url": url, "name": repo})

    def _validate_yaml(self) -> None:
        text = json.loads(self.body)["content"]
        match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        try:
            data = yaml.safe_load(match[1]) if match else None
            for model in (data or {}).get("model-index", []):
                for result in model["results"]:
                    assert result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
                    assert all(metric["type"] and metric["value"] is not None for metric in result["metrics"])
        except (yaml.YAMLError, KeyError, AssertionError, TypeError) as error:
            self._send(400, {"errors": [{"message": f"{type(error).__name__}: {error}"}], "warnings": []})
            return
        warnings = [] if data else [{"message": "empty or missing yaml metadata in repo card"}]
        self._send(200, {"errors": [], "warnings": warnings})

    def _info(self, kind: str, repo: str, revision: str = "main") -> None:
        sha, files = self._files(kind, repo, revision)
        siblings = [{"rfilename": path} for path in sorted(files)]
        private = self._repository(kind, repo).private
        shown = {"id": repo, "modelId": repo, "sha": sha, "private": private, "siblings": siblings, "tags": []}
        self._send(200, {**shown, "gated": False, "disabled": False, "downloads": 0, "likes": 0})

    def _entries(self, files: dict[str, tuple[str, int, bool]]) -> list[dict[str, Any]]:
        out = []
        for path, (oid, size, lfs) in sorted(files.items()):
            entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": oid[:40]}
            out.append({**entry, "lfs": {"oid": oid, "size": size, "pointerSize": 130}} if lfs else entry)
        return out

    def _tree(self, kind: str, repo: str, revision: str, folder: str | None = None) -> None:
        _, files = self._files(kind, repo, revision)
        prefix = f"{folder.strip('/')}/" if folder else ""
        inside = {path: entry for path, entry in files.items() if path.startswith(prefix)}
        if prefix and not inside:
            raise _Refusal(404, f"{folder} does not exist", "EntryNotFound")
        if self.query.get("recursive", ["false"])[0].lower() != "true":
            folders = {path[: len(prefix)] + path[len(prefix) :].split("/")[0] for path in inside}
            direct = {path: entry for path, entry in inside.items() if path in folders}
            listed = self._entries(direct)
            within = sorted(folders - set(direct))
            listed += [{"type": "directory", "path": name, "size": 0, "oid": "0"} for name in within]
        else:
            listed = self._entries(inside)
        self._send(200, listed)

    def _paths_info(self, kind: str, repo: str, revision: str) -> None:
        _, files = self._files(kind, repo, revision)
        if "json" in self.headers.get("Content-Type", ""):
            paths = json.loads(self.body)["paths"]
        else:
            paths = parse_qs(self.body.decode())["paths"]
        self._send(200, self._entries({path: files[path] for path in paths if path in files}))

    def _preupload(self, kind: str, repo: str, revision: str) -> None:
        self._write_access()
        _, files = self._files(kind, repo, revision)
        out = []
        for file in json.loads(self.body)["files"]:
            lfs = file["path"].endswith(_LFS) or file["size"] > 10_000_000
            oid = files[file["path"]][0] if file["path"] in files else None
            mode = "lfs" if lfs else "regular"
            out.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._send(200, {"files": out})

    def _batch(self, repo: str) -> None:
        self._write_access()
        out = []
        for asked in json.loads(self.body)["objects"]:
            entry: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"], "authenticated": True}
            if self.server.full:
                raise _Refusal(507, "Insufficient storage")
            if asked["oid"] not in self.server.objects:
                entry["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{asked['oid']}", "header": {}}}
            out.append(entry)
        self._send(200, {"transfer": "basic", "objects": out})

    def _put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refusal(400, "the content is not what the id says")
        self.server.objects[oid] = self.body
        self._send(200, {})

    def _commit(self, kind: str, repo: str, revision: str) -> None:
        self._write_access()
        repository = self._repository(kind, repo)
        if revision not in repository.branches:
            raise _Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        files = dict(self._files(kind, repo, revision)[1])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                content = base64.b64decode(value["content"])
                oid = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
                self.server.objects[oid] = content
                files[value["path"]] = (oid, len(content), False)
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.server.objects:
                    raise _Refusal(400, f"LFS object {value['oid']} was never uploaded")
                files[value["path"]] = (value["oid"], len(self.server.objects[value["oid"]]), True)
            elif item["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise _Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
        sha = repository.commit(revision, files)
        url = f"{self.server.url}/{_TYPES[kind]}{repo}/commit/{sha}"
        self._send(200, {"commitUrl": url, "commitOid": sha, "success": True})

    def _resolve(self, repo: str, revision: str, path: str, prefix: str | None = None) -> None:
        kind = (prefix or "models/").rstrip("/")
        sha, files = self._files(kind, repo, revision)
        if path not in files:
            raise _Refusal(404, f"{path} does not exist", "EntryNotFound")
        oid, size, lfs = files[path]
        content, status = self.server.objects[oid], 200
        headers = {"X-Repo-Commit": sha, "ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        if lfs:
            headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(size)}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(match[1]), int(match[2] or size - 1)
            content, status = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._send(status, headers=headers, raw=content)


_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_API = rf"/api/(?P<kind>models|datasets|spaces)/{_REPO}"
_ROUTES = [
    (r"GET /api/whoami-v2", _Handler._whoami),
    (r"POST /api/repos/create", _Handler._create),
    (r"POST /api/validate-yaml", _Handler._validate_yaml),
    (rf"GET {_API}", _Handler._info),
    (rf"GET {_API}/revision/(?P<revision>[^/]+)", _Handler._info),
    (rf"GET {_API}/tree/(?P<revision>[^/]+)(?P<folder>/.+)?", _Handler._tree),
    (rf"POST {_API}/paths-info/(?P<revision>[^/]+)", _Handler._paths_info),
    (rf"POST {_API}/preupload/(?P<revision>[^/]+)", _Handler._preupload),
    (rf"POST {_API}/commit/(?P<revision>[^/]+)", _Handler._commit),
    (rf"POST /(?:datasets/|spaces/)?{_REPO}\.git/info/lfs/objects/batch", _Handler._batch),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", _Handler._put),
    (
        rf"(?:GET|HEAD) /(?P<prefix>datasets/|spaces/)?{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
        _Handler._resolve,
    ),
]
