// Calls of any method of gRPC, all four kinds of streams, from one application to another that this program is as well. The SDK
// does not do that itself: it is gRPC's own library that is told whom to call. Exits 0 if all is as it should be.

const assert = require("node:assert");
const grpc = require("@grpc/grpc-js");

const bytes = { requestSerialize: Buffer.from, requestDeserialize: String, responseSerialize: Buffer.from, responseDeserialize: String };
const kind = (name, requestStream, responseStream) => ({ path: `/shop.Talk/${name}`, requestStream, responseStream, ...bytes });
const Talk = {
  one: kind("One", false, false),
  many: kind("Many", false, true),
  all: kind("All", true, false),
  each: kind("Each", true, true),
};

const server = new grpc.Server();
server.addService(Talk, {
  one: (call, answer) => {
    if (call.request === "fail") return answer({ code: grpc.status.FAILED_PRECONDITION, details: "not now" });
    answer(null, `${call.metadata.get("dapr-caller-app-id")}: ${call.request}`);
  },
  many: (call) => {
    for (const word of call.request.split(" ")) call.write(word);
    call.end();
  },
  all: (call, answer) => {
    const words = [];
    call.on("data", (word) => words.push(word)).on("end", () => answer(null, words.join(" ")));
  },
  each: (call) => {
    call.on("data", (word) => call.write(word.toUpperCase())).on("end", () => call.end());
  },
});

async function main() {
  const own = grpc.ServerCredentials.createInsecure();
  await new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${process.env.GRPC_APP_PORT}`, own, (error) => (error ? reject(error) : resolve()));
  });
  const Client = grpc.makeGenericClientConstructor(Talk, "Talk");
  const client = new Client(`127.0.0.1:${process.env.DAPR_GRPC_PORT}`, grpc.credentials.createInsecure());
  const to = (id) => {
    const metadata = new grpc.Metadata();
    metadata.set("dapr-app-id", id);
    return metadata;
  };
  const one = (id, word) =>
    new Promise((resolve, reject) => {
      client.one(word, to(id), (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  const read = async (stream) => {
    const words = [];
    for await (const word of stream) words.push(word);
    return words;
  };

  assert.strictEqual(await one("talk", "alone"), "shop: alone");
  await assert.rejects(one("talk", "fail"), { code: grpc.status.FAILED_PRECONDITION, details: "not now" });
  await assert.rejects(one("nobody", "x"), /nobody/);
  assert.deepStrictEqual(await read(client.many("a b c", to("talk"))), ["a", "b", "c"]);
  const all = await new Promise((resolve, reject) => {
    const call = client.all(to("talk"), (error, answer) => (error ? reject(error) : resolve(answer)));
    ["a", "b"].forEach((word) => call.write(word));
    call.end();
  });
  assert.strictEqual(all, "a b");
  const each = client.each(to("talk"));
  ["a", "b"].forEach((word) => each.write(word));
  each.end();
  assert.deepStrictEqual(await read(each), ["A", "B"]);
  process.exit(0);
}

main();
