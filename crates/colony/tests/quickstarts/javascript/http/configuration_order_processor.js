// Configuration: gets items, and is told of their changes until it has seen one of each.

const { application, ask, wanted } = require("./web");

const STORE = "/v1.0/configuration/configstore";
const missing = new Set(["orderId1", "orderId2"]);
const query = [...missing].map((key) => `key=${key}`).join("&");
let subscription;

application().post("/configuration/configstore/:key", (request, response) => {
  console.log(`Configuration update ${JSON.stringify(request.body.items)}`);
  response.sendStatus(200);
  missing.delete(request.params.key);
  if (missing.size === 0) response.on("finish", end);
});

async function main() {
  for (const key of missing) {
    console.log(`Configuration for ${key}: ${wanted(await ask("GET", `${STORE}?key=${key}`), 200)}`);
  }
  const text = wanted(await ask("GET", `${STORE}/subscribe?${query}`), 200);
  subscription = JSON.parse(text).id;
  console.log("App subscribed to config changes");
}

async function end() {
  const text = wanted(await ask("GET", `${STORE}/${subscription}/unsubscribe`), 200);
  if (!JSON.parse(text).ok) throw new Error(text);
  console.log("App unsubscribed from config changes");
  process.exit(0);
}

main();
