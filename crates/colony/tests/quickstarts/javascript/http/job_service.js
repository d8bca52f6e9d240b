// Jobs: schedules, tells of and deletes them for others, and does what they are for.

const { application, ask, wanted } = require("./web");

const JOBS = "/v1.0-alpha1/jobs";
const app = application();

app.post("/scheduleJob", async (request, response) => {
  const { name, job, dueTime } = request.body;
  wanted(await ask("POST", `${JOBS}/${name}`, { data: { droid: name, task: job }, dueTime: `${dueTime}s` }), 204);
  console.log(`Job scheduled: ${name}`);
  response.json(request.body);
});

app.get("/getJob/:name", async (request, response) => {
  const { status, text } = await ask("GET", `${JOBS}/${request.params.name}`);
  response.status(status === 200 ? 200 : 404).type("json").send(text);
});

app.delete("/deleteJob/:name", async (request, response) => {
  wanted(await ask("DELETE", `${JOBS}/${request.params.name}`), 204);
  response.json({ message: "Job deleted" });
});

app.post("/job/:name", (request, response) => {
  console.log(`Starting droid: ${request.body.droid}`);
  console.log(`Executing maintenance job: ${request.body.task}`);
  response.sendStatus(200);
});
