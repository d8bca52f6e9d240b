// Bindings: at the first tick of a schedule writes all orders into a database.

const { DaprServer } = require("@dapr/dapr");
const { orders } = require("../../orders.json");

async function main() {
  const server = new DaprServer({ serverHost: "127.0.0.1", serverPort: process.env.APP_PORT });
  let done = false;
  await server.binding.receive("cron", async () => {
    if (done) return;
    done = true;
    for (const { orderid, customer, price } of orders) {
      const sql = `insert into orders (orderid, customer, price) values(${orderid}, '${customer}', ${price})`;
      await server.client.binding.send("sqldb", "exec", "", { sql });
      console.log(sql);
    }
    console.log("Finished processing batch");
  });
  await server.start();
}

main();
