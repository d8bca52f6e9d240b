// Pub/sub: says what it subscribes to, and takes events.

const { application } = require("./web");

const app = application();
app.get("/dapr/subscribe", (_, response) => {
  response.json([{ pubsubname: "orderpubsub", topic: "orders", route: "orders" }]);
});
app.post("/orders", (request, response) => {
  console.log(`Subscriber received : ${request.body.data.orderId}`);
  response.sendStatus(200);
});
