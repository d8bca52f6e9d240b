// Jobs: has another application schedule them.

const assert = require("node:assert");
const { ask, untilAnswered, wanted } = require("./web");

const SERVICE = { "dapr-app-id": "job-service-http" };

async function main() {
  for (const [name, job, dueTime] of [["R2-D2", "Oil Change", 1], ["C-3PO", "Limb Calibration", 3600]]) {
    const text = wanted(await untilAnswered("POST", "/scheduleJob", { name, job, dueTime }, SERVICE), 200);
    console.log(`Response: ${text}`);
  }
  const text = wanted(await ask("GET", "/getJob/C-3PO", undefined, SERVICE), 200);
  const job = JSON.parse(text);
  assert.deepStrictEqual([job.name, job.dueTime], ["C-3PO", "3600s"]);
  console.log(`Job details for C-3PO: ${text}`);
  wanted(await ask("DELETE", "/deleteJob/C-3PO", undefined, SERVICE), 200);
  wanted(await ask("GET", "/getJob/C-3PO", undefined, SERVICE), 404);
  console.log("Deleted job: C-3PO");
}

main();
