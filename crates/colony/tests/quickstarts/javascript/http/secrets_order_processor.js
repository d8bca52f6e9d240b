// Secrets: gets one of a file.

const { ask, wanted } = require("./web");

ask("GET", "/v1.0/secrets/localsecretstore/secret").then((answer) => {
  console.log(`Fetched Secret: ${wanted(answer, 200)}`);
});
