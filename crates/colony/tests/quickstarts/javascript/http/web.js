// What the programs without an SDK need of HTTP: to ask their sidecar, and to serve.

const express = require("express");

const SIDECAR = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT ?? "3500"}`;

// Asks the sidecar: its answer's status and text.
async function ask(method, path, body, headers = {}) {
  const answer = await fetch(SIDECAR + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

// The same of what must succeed, again while the one that is called is not there yet.
async function untilAnswered(...args) {
  for (;;) {
    const answer = await ask(...args);
    if (answer.status < 500) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function wanted(answer, status) {
  if (answer.status !== status) throw new Error(`${answer.status} and not ${status}: ${answer.text}`);
  return answer.text;
}

// An application that reads JSON, CloudEvents included, and listens where its sidecar expects it.
function application() {
  const app = express();
  app.use(express.json({ type: ["application/json", "application/*+json"] }));
  app.listen(Number(process.env.APP_PORT), "127.0.0.1");
  return app;
}

module.exports = { application, ask, untilAnswered, wanted };
