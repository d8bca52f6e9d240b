// Bindings: at the first tick of a schedule writes all orders into a database.

const { orders } = require("../../orders.json");
const { application, ask } = require("./web");

let done = false;
application().post("/cron", async (_, response) => {
  if (!done) {
    done = true;
    for (const { orderid, customer, price } of orders) {
      const sql = `insert into orders (orderid, customer, price) values(${orderid}, '${customer}', ${price})`;
      const { status, text } = await ask("POST", "/v1.0/bindings/sqldb", { operation: "exec", metadata: { sql } });
      if (status >= 300) throw new Error(`${status}: ${text}`);
      console.log(sql);
    }
    console.log("Finished processing batch");
  }
  response.sendStatus(200);
});
