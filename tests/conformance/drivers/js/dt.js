/** The adapter for @dapr/durabletask-js (Dapr's fork of the Durable Task SDK). */
"use strict";

const { failureOf, run } = require("./interpreter.js");
const { note } = require("./activities.js");
const { sdk } = require("./modules.js");

const dt = sdk("@dapr/durabletask-js");
const { whenAll, whenAny } = sdk("@dapr/durabletask-js/task");
const { OrchestrationStatus: STATUS } = sdk(
  "@dapr/durabletask-js/orchestration/enum/orchestration-status.enum",
);
const { TaskFailedError } = sdk("@dapr/durabletask-js/task/exception/task-failed-error");

class Flow {
  constructor(ctx) {
    this.ctx = ctx;
  }

  isTaskError(error) {
    return error instanceof TaskFailedError;
  }

  activity(what) {
    return this.ctx.callActivity(what.name, what.input);
  }

  child(what) {
    return this.ctx.callSubOrchestrator(what.name, what.input, what.id);
  }

  timer(what) {
    return this.ctx.createTimer(new Date(this.nowMs() + (what.at ?? what.ms)));
  }

  event(what) {
    return this.ctx.waitForExternalEvent(what.name);
  }

  all(tasks) {
    return whenAll(tasks);
  }

  any(tasks) {
    return whenAny(tasks);
  }

  status(value) {
    this.ctx.setCustomStatus(value);
  }

  again(value, keepEvents) {
    this.ctx.continueAsNew(value, keepEvents);
  }

  nowMs() {
    return this.ctx.currentUtcDateTime.getTime();
  }

  info() {
    return { id: this.ctx.instanceId };
  }

  trace(value) {
    note(this.ctx.instanceId, [value, this.ctx.isReplaying]);
  }
}

function stateOf(state) {
  if (!state) return null;
  return {
    id: state.instanceId,
    name: state.name,
    status: STATUS[state.runtimeStatus],
    created: state.createdAt.getTime(),
    updated: state.lastUpdatedAt.getTime(),
    input: state.serializedInput ?? null,
    output: state.serializedOutput ?? null,
    custom_status: state.serializedCustomStatus ?? null,
    failure: state.failureDetails ? failureOf(state.failureDetails) : null,
  };
}

/** A worker and a client of one engine. */
class App {
  constructor(name, host, port, activities) {
    this.name = name;
    this.address = `${host}:${port}`;
    this.activities = activities;
    this.client = new dt.TaskHubGrpcClient(this.address);
    this.worker = null;
  }

  async start_worker({ options }) {
    const worker = new dt.TaskHubGrpcWorker(this.address);
    worker.addNamedOrchestrator("run", (ctx, start) => run(new Flow(ctx), start));
    for (const { name, program } of options.workflows ?? []) {
      worker.addNamedOrchestrator(name, (ctx, input) =>
        run(new Flow(ctx), { program, vars: { input } }),
      );
    }
    for (const [name, activity] of Object.entries(this.activities)) {
      worker.addNamedActivity(name, (ctx, value) =>
        activity({ instance: ctx.orchestrationId, task: ctx.taskId, worker: this.name }, value),
      );
    }
    await worker.start();
    this.worker = worker;
  }

  async stop_worker() {
    const worker = this.worker;
    this.worker = null;
    await worker?.stop().catch((error) => {
      // After a lost connection the SDK says so by throwing; there is nothing left to stop.
      if (!String(error?.message).includes("not running")) throw error;
    });
  }

  async close() {
    await this.stop_worker();
    await this.client.stop();
  }

  start({ input, workflow = "run", instance, at_ms }) {
    const startAt = at_ms === undefined ? undefined : new Date(at_ms);
    return this.client.scheduleNewOrchestration(workflow, input, instance, startAt);
  }

  async get({ instance, payloads = true }) {
    return stateOf(await this.client.getOrchestrationState(instance, payloads));
  }

  async wait_start({ instance, timeout_ms = 30000 }) {
    return stateOf(await this.client.waitForOrchestrationStart(instance, true, timeout_ms / 1000));
  }

  async wait_done({ instance, timeout_ms = 30000 }) {
    const seconds = timeout_ms / 1000;
    return stateOf(await this.client.waitForOrchestrationCompletion(instance, true, seconds));
  }

  raise_event({ instance, name, value }) {
    return this.client.raiseOrchestrationEvent(instance, name, value);
  }

  suspend({ instance }) {
    return this.client.suspendOrchestration(instance);
  }

  resume({ instance }) {
    return this.client.resumeOrchestration(instance);
  }

  terminate({ instance, output }) {
    return this.client.terminateOrchestration(instance, output);
  }

  async purge({ instance }) {
    return (await this.client.purgeOrchestration(instance))?.deletedInstanceCount;
  }
}

module.exports = { App };
