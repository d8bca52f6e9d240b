// Service invocation: takes orders.

const { application } = require("./web");

application().post("/orders", (request, response) => {
  console.log(`Order received : ${JSON.stringify(request.body)}`);
  response.json({ success: true });
});
