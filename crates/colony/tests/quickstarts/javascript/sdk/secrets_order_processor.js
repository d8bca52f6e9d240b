// Secrets: gets one of a file.

const { DaprClient } = require("@dapr/dapr");

new DaprClient().secret.get("localsecretstore", "secret").then((secret) => {
  console.log(`Fetched Secret: ${JSON.stringify(secret)}`);
});
