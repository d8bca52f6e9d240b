// Service invocation: sends orders to the processors, over HTTP and over gRPC.

const assert = require("node:assert");
const { CommunicationProtocolEnum, DaprClient, HttpMethod } = require("@dapr/dapr");

// The answer, as soon as the processor is there.
async function placed(client, processor, order) {
  for (;;) {
    try {
      return await client.invoker.invoke(processor, "orders", HttpMethod.POST, order);
    } catch (error) {
      console.log(`not yet: ${error}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function main(processors) {
  for (const over of ["HTTP", "GRPC"]) {
    const client = new DaprClient({ communicationProtocol: CommunicationProtocolEnum[over] });
    for (const processor of processors) {
      for (let orderId = 1; orderId <= 3; orderId += 1) {
        const answer = await placed(client, processor, { orderId, over });
        assert.deepStrictEqual(answer, { success: true });
        console.log(`Order passed to ${processor}: ${JSON.stringify({ orderId, over })}`);
      }
    }
    await client.stop();
  }
  process.exit(0);
}

main(process.argv.slice(2));
