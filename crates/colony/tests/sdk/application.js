// All that an application does with Dapr's SDK for JavaScript, over the protocol that is named: `HTTP` or `GRPC`. Exits 0 if all
// is as it should be.

const assert = require("node:assert");
const { CommunicationProtocolEnum, DaprPubSubStatusEnum, DaprServer, HttpMethod, LogLevel } = require("@dapr/dapr");
const { StateConcurrencyEnum, StateConsistencyEnum } = require("@dapr/dapr");

const PATIENCE_MS = 60_000;
const PUBSUB = "pubsub";
const [protocol] = process.argv.slice(2);
const overHttp = protocol === "HTTP";

const server = new DaprServer({
  serverHost: "127.0.0.1",
  serverPort: process.env.APP_PORT,
  communicationProtocol: CommunicationProtocolEnum[protocol],
  logger: { level: LogLevel.Warn },
});
const { client } = server;

// What has come to each place, in order.
const had = {};
const note = (place, what) => (had[place] ??= []).push(what);

async function come(place, count) {
  const deadline = Date.now() + PATIENCE_MS;
  while ((had[place] ?? []).length < count) {
    assert.ok(Date.now() < deadline, `${place}: ${JSON.stringify(had)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return had[place];
}

// Over HTTP some calls answer with what went wrong, over gRPC they throw it.
async function refused(call, words) {
  let said;
  try {
    said = (await call()).error;
  } catch (error) {
    said = error.error ?? error;
  }
  assert.ok(said && words.test(String(said)), `${words}: ${said}`);
}

async function subscriptions() {
  await server.pubsub.subscribeWithOptions(PUBSUB, "orders", {
    route: { default: "small", rules: [{ match: 'event.type == "large"', path: "large" }] },
    deadLetterTopic: "dead",
  });
  server.pubsub.subscribeToRoute(PUBSUB, "orders", "small", async (data) => {
    note("small", data);
    return data.n < 0 ? DaprPubSubStatusEnum.DROP : DaprPubSubStatusEnum.SUCCESS;
  });
  server.pubsub.subscribeToRoute(PUBSUB, "orders", "large", async (data) => note("large", data));
  await server.pubsub.subscribe(PUBSUB, "dead", async (data) => note("dead", data));
  await server.pubsub.subscribe(PUBSUB, "flaky", async (data) => {
    note("flaky", data);
    return had.flaky.length === 1 ? DaprPubSubStatusEnum.RETRY : DaprPubSubStatusEnum.SUCCESS;
  });
  await server.pubsub.subscribeBulk(PUBSUB, "many", async (data) => note("many", data), {
    maxMessagesCount: 10,
    maxAwaitDurationMs: 100,
  });
  await server.pubsub.subscribe(PUBSUB, "raw", async (data) => note("raw", data), undefined, { rawPayload: true });
}

async function publishing() {
  const { pubsub } = client;
  await pubsub.publish(PUBSUB, "orders", { n: 1 });
  await pubsub.publish(PUBSUB, "orders", { n: 2 }, { metadata: { "cloudevent.type": "large" } });
  await pubsub.publish(PUBSUB, "orders", { n: -3 });
  const event = { specversion: "1.0", id: "4", source: "/shop", type: "large", data: { n: 4 } };
  await pubsub.publish(PUBSUB, "orders", event);
  assert.deepStrictEqual((await come("small", 2)).sort((a, b) => b.n - a.n), [{ n: 1 }, { n: -3 }]);
  assert.deepStrictEqual((await come("large", 2)).sort((a, b) => a.n - b.n), [{ n: 2 }, { n: 4 }]);
  assert.deepStrictEqual(await come("dead", 1), [{ n: -3 }]);

  await pubsub.publish(PUBSUB, "flaky", "text");
  assert.deepStrictEqual(await come("flaky", 2), ["text", "text"]);
  await pubsub.publish(PUBSUB, "raw", { raw: true }, { metadata: { rawPayload: "true" } });
  assert.deepStrictEqual(await come("raw", 1), [{ raw: true }]);

  const several = ["text", { n: 1 }, { entryID: "mine", event: { n: 2 }, contentType: "application/json" }];
  assert.deepStrictEqual(await pubsub.publishBulk(PUBSUB, "many", several), { failedMessages: [] });
  const many = (await come("many", 3)).map((data) => JSON.stringify(data)).sort();
  assert.deepStrictEqual(many, ['"text"', '{"n":1}', '{"n":2}']);
  await refused(() => pubsub.publish(PUBSUB, "orders", "x", { metadata: { rawPayload: "perhaps" } }), /rawPayload/);
}

async function invoking() {
  const { invoker } = client;
  for (const method of [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE]) {
    const body = method === HttpMethod.GET ? undefined : { method };
    const answer = await invoker.invoke("shop", "orders", method, body);
    assert.deepStrictEqual([answer.method, answer.body], [method, body ?? {}], JSON.stringify(answer));
  }
  await refused(() => invoker.invoke("nobody", "orders", HttpMethod.GET), /nobody/);
}

async function state() {
  const { state } = client;
  const STORE = "statestore";
  await state.save(STORE, [
    { key: "ada", value: { apples: 3 } },
    { key: "bob", value: "text", metadata: { ttlInSeconds: "100" } },
    { key: "cleo", value: 7 },
  ]);
  assert.deepStrictEqual(await state.get(STORE, "ada"), { apples: 3 });
  assert.deepStrictEqual(await state.get(STORE, "bob"), "text");
  assert.deepStrictEqual(await state.get(STORE, "cleo", { consistency: StateConsistencyEnum.CONSISTENCY_STRONG }), 7);
  assert.strictEqual(await state.get(STORE, "nobody"), "");
  const items = await state.getBulk(STORE, ["ada", "bob", "nobody"]);
  const told = items.map(({ key, data }) => [key, data || undefined]);
  assert.deepStrictEqual(told, [["ada", { apples: 3 }], ["bob", "text"], ["nobody", undefined]]);

  const [{ etag }] = items;
  const first = { concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE };
  await state.save(STORE, [{ key: "ada", value: { apples: 4 }, etag, options: first }]);
  await refused(() => state.save(STORE, [{ key: "ada", value: 5, etag, options: first }]), /etag/i);
  await refused(() => state.delete(STORE, "ada", { etag }), /etag/i);
  await state.delete(STORE, "bob");
  assert.strictEqual(await state.get(STORE, "bob"), "");

  await state.transaction(STORE, [
    { operation: "upsert", request: { key: "dan", value: '{"pears":1}' } },
    { operation: "delete", request: { key: "cleo" } },
  ]);
  // Over HTTP a text is a value of JSON, over gRPC it is the bytes.
  assert.deepStrictEqual(await state.get(STORE, "dan"), overHttp ? '{"pears":1}' : { pears: 1 });
  assert.strictEqual(await state.get(STORE, "cleo"), "");
  const late = [{ operation: "upsert", request: { key: "ada", value: "5", etag: { value: etag } } }];
  await refused(() => state.transaction(STORE, overHttp ? [{ ...late[0], request: { key: "ada", value: "5", etag } }] : late), /./);
  assert.deepStrictEqual(await state.get(STORE, "ada"), { apples: 4 });
}

async function others() {
  assert.strictEqual(await client.health.isHealthy(), true);
  assert.strictEqual(await client.metadata.set("note", "mine"), true);
  const { id, extended } = await client.metadata.get();
  assert.deepStrictEqual([id, extended.note], ["shop", "mine"]);

  assert.deepStrictEqual(await client.lock.lock("locks", "stock", "ada", 60), { success: true });
  assert.deepStrictEqual(await client.lock.lock("locks", "stock", "bob", 60), { success: false });
  for (const [owner, status] of [["bob", "LockBelongsToOthers"], ["ada", "Success"], ["ada", "LockDoesNotExist"]]) {
    const { LockStatus } = require("@dapr/dapr/types/lock/UnlockResponse");
    assert.deepStrictEqual(await client.lock.unlock("locks", "stock", owner), { status: LockStatus[status] });
  }

  assert.deepStrictEqual(await client.secret.get("secrets", "db"), { db: "hush" });
  assert.deepStrictEqual(await client.secret.getBulk("secrets"), { db: { db: "hush" } });
  await refused(() => client.secret.get("nowhere", "db"), /nowhere/);

  const file = { fileName: "a.txt" };
  const text = (answer) => (overHttp ? answer : Buffer.from(answer.data).toString());
  const created = text(await client.binding.send("files", "create", "Hello, World!", file));
  assert.deepStrictEqual(overHttp ? created : JSON.parse(created), { fileName: "a.txt" });
  assert.strictEqual(text(await client.binding.send("files", "get", "", file)), "Hello, World!");
  await refused(() => client.binding.send("files", "paint", "x"), /paint/);
  await come("tick", 1);
}

async function configuration() {
  const url = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT}/v1.0/configuration/limits`;
  const set = async (value) => {
    const body = JSON.stringify({ items: [{ key: "carts", value }, { key: "orders", value: "20" }] });
    assert.ok((await fetch(url, { method: "POST", body })).ok);
  };
  await set("100");
  if (overHttp) {
    await assert.rejects(() => client.configuration.get("limits", ["carts"]));
    return;
  }
  const { items } = await client.configuration.get("limits", ["carts"]);
  assert.deepStrictEqual([Object.keys(items), items.carts.value], [["carts"], "100"]);
  const stream = await client.configuration.subscribeWithKeys("limits", ["carts"], async ({ items }) => {
    note("carts", items.carts.value);
  });
  // The subscription begins some time after that call.
  for (let value = 101; !had.carts; value += 1) {
    await set(String(value));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stream.stop();
}

async function main() {
  setTimeout(() => assert.fail(`it takes too long: ${JSON.stringify(had)}`), PATIENCE_MS).unref();
  await subscriptions();
  for (const method of [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE]) {
    await server.invoker.listen("orders", async ({ body }) => ({ method, body: JSON.parse(body || "{}") }), { method });
  }
  await server.binding.receive("ticks", async () => note("tick", 1));
  await server.start();
  await others();
  await invoking();
  await state();
  await publishing();
  await configuration();
  await client.sidecar.shutdown();
  process.exit(0);
}

main();
