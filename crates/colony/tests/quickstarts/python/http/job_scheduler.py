"""Jobs: has another application schedule them."""

import json

from web import ask, until_answered

SERVICE = {"dapr_app_id": "job-service-http"}
for name, job, due in [("R2-D2", "Oil Change", 1), ("C-3PO", "Limb Calibration", 3600)]:
    status, text = until_answered("POST", "/scheduleJob", {"name": name, "job": job, "dueTime": due}, **SERVICE)
    assert status == 200, (status, text)
    print(f"Response: {text}", flush=True)
status, text = ask("GET", "/getJob/C-3PO", **SERVICE)
job = json.loads(text)
assert (status, job["name"], job["dueTime"]) == (200, "C-3PO", "3600s"), (status, text)
print(f"Job details for C-3PO: {text}", flush=True)
assert ask("DELETE", "/deleteJob/C-3PO", **SERVICE)[0] == 200
assert ask("GET", "/getJob/C-3PO", **SERVICE)[0] == 404
print("Deleted job: C-3PO", flush=True)
