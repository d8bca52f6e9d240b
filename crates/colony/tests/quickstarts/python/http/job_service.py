"""Jobs: schedules, tells of and deletes them for others, and does what they are for."""

import json

from web import ask, serve

JOBS = "/v1.0-alpha1/jobs"


def answer(method, path, body):
    _, verb, *rest = path.split("/")
    if (method, verb) == ("POST", "scheduleJob"):
        job = {"data": {"droid": body["name"], "task": body["job"]}, "dueTime": f"{body['dueTime']}s"}
        status, text = ask("POST", f"{JOBS}/{body['name']}", job)
        assert status == 204, (status, text)
        print(f"Job scheduled: {body['name']}", flush=True)
        return body
    if (method, verb) == ("GET", "getJob"):
        status, text = ask("GET", f"{JOBS}/{rest[0]}")
        return json.loads(text) if status == 200 else None
    if (method, verb) == ("DELETE", "deleteJob"):
        status, text = ask("DELETE", f"{JOBS}/{rest[0]}")
        assert status == 204, (status, text)
        return {"message": "Job deleted"}
    if (method, verb) == ("POST", "job"):
        print(f"Starting droid: {body['droid']}", flush=True)
        print(f"Executing maintenance job: {body['task']}", flush=True)
        return {}


serve(answer)
