"""Jobs: schedules two, deletes one, and does what the other is for."""

import json
import os
import threading

from dapr.clients import DaprClient
from dapr.clients.grpc._jobs import Job
from dapr.ext.grpc import App, JobEvent
from google.protobuf.any_pb2 import Any as GrpcAny

app = App()
done = threading.Event()


@app.job_event("R2-D2")
def maintain(event: JobEvent):
    job = json.loads(event.get_data_as_string())
    print(f"Starting droid: {job['droid']}", flush=True)
    print(f"Executing maintenance job: {job['task']}", flush=True)


def schedule(client, name, task, due):
    data = GrpcAny(value=json.dumps({"droid": name, "task": task}).encode())
    client.schedule_job(Job(name=name, due_time=due, data=data))
    print(f"Job scheduled: {name}", flush=True)


def scheduler():
    with DaprClient() as client:
        schedule(client, "R2-D2", "Oil Change", "1s")
        schedule(client, "C-3PO", "Limb Calibration", "1h")
        job = client.get_job("C-3PO")
        print(f"Job details for C-3PO: {job.name} {job.due_time} {job.data.value.decode()}", flush=True)
        client.delete_job("C-3PO")
        print("Deleted job: C-3PO", flush=True)


threading.Thread(target=scheduler, daemon=True).start()
app.run(int(os.environ["APP_PORT"]), "127.0.0.1")
