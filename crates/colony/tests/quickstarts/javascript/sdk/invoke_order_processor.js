// Service invocation: takes orders over the protocol that is named.

const { CommunicationProtocolEnum, DaprServer, HttpMethod } = require("@dapr/dapr");

async function main(protocol) {
  const server = new DaprServer({
    serverHost: "127.0.0.1",
    serverPort: process.env.APP_PORT,
    communicationProtocol: CommunicationProtocolEnum[protocol],
  });
  const orders = async ({ body }) => {
    console.log(`Order received : ${body}`);
    return { success: true };
  };
  await server.invoker.listen("orders", orders, { method: HttpMethod.POST });
  await server.start();
}

main(process.argv[2]);
