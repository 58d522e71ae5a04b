/** Every workflow call of @dapr/dapr's DaprClient over HTTP, and what it asks over gRPC.
 *
 * Arguments: HTTP port, gRPC port.  Prints what it saw as one JSON object.
 */
"use strict";

const { sdk } = require("./modules.js");

const { CommunicationProtocolEnum, DaprClient, WorkflowRuntime } = sdk("@dapr/dapr");

async function* ask(ctx, given) {
  const answer = yield ctx.waitForExternalEvent("answer");
  return { given, answer };
}

async function until(client, id, status) {
  for (;;) {
    const state = await client.workflow.get(id);
    if (state.runtimeStatus === status) return state;
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return JSON.parse(JSON.parse(error.message).error_msg);
  }
  return null;
}

function of(protocol, port) {
  const logger = { level: "error" };
  return new DaprClient({
    daprHost: "127.0.0.1",
    daprPort: port,
    communicationProtocol: protocol,
    logger,
  });
}

async function main(httpPort, grpcPort) {
  const client = of(CommunicationProtocolEnum.HTTP, httpPort);
  const grpc = of(CommunicationProtocolEnum.GRPC, grpcPort);
  const runtime = new WorkflowRuntime({ daprHost: "127.0.0.1", daprPort: grpcPort });
  runtime.registerWorkflowWithName("ask", ask);
  await runtime.start();
  const flow = client.workflow;
  const seen = {};
  seen.started = await flow.start("ask", { item: "book" }, "one");
  seen.running = await until(client, "one", "RUNNING");
  await flow.pause("one");
  seen.paused = (await until(client, "one", "SUSPENDED")).runtimeStatus;
  await flow.resume("one");
  seen.resumed = (await until(client, "one", "RUNNING")).runtimeStatus;
  seen.metadata = await client.metadata.get();
  seen.grpcMetadata = await grpc.metadata.get();
  seen.healthy = [await client.health.isHealthy(), await grpc.health.isHealthy()];
  await flow.raise("one", "answer", { approved: true });
  seen.completed = await until(client, "one", "COMPLETED");
  await flow.purge("one");
  seen.gone = await refused(() => flow.get("one"));
  await flow.start("ask", null, "two");
  await until(client, "two", "RUNNING");
  await flow.terminate("two");
  seen.terminated = (await until(client, "two", "TERMINATED")).runtimeStatus;
  seen.nobody = await refused(() => flow.pause("nobody"));
  process.stdout.write(JSON.stringify(seen));
  await runtime.stop();
  await client.stop();
  await grpc.stop();
}

main(...process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
