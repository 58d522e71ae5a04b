/** The adapter for @dapr/dapr, whose workflow part builds on Dapr's Durable Task fork. */
"use strict";

const { run } = require("./interpreter.js");
const { note } = require("./activities.js");
const { sdk } = require("./modules.js");

const dapr = sdk("@dapr/dapr");
const STATUS = dapr.WorkflowRuntimeStatus;

class Flow {
  constructor(ctx) {
    this.ctx = ctx;
  }

  isTaskError(error) {
    return error?.constructor?.name === "TaskFailedError";
  }

  activity(what) {
    return this.ctx.callActivity(what.name, what.input);
  }

  child(what) {
    return this.ctx.callChildWorkflow(what.name, what.input, what.id);
  }

  timer(what) {
    return this.ctx.createTimer(new Date(this.nowMs() + (what.at ?? what.ms)));
  }

  event(what) {
    return this.ctx.waitForExternalEvent(what.name);
  }

  all(tasks) {
    return this.ctx.whenAll(tasks);
  }

  any(tasks) {
    return this.ctx.whenAny(tasks);
  }

  status(value) {
    this.ctx.setCustomStatus(value);
  }

  again(value, keepEvents) {
    this.ctx.continueAsNew(value, keepEvents);
  }

  nowMs() {
    return this.ctx.getCurrentUtcDateTime().getTime();
  }

  info() {
    return { id: this.ctx.getWorkflowInstanceId() };
  }

  trace(value) {
    note(this.ctx.getWorkflowInstanceId(), [value, this.ctx.isReplaying()]);
  }
}

function stateOf(state) {
  if (!state) return null;
  const failure = state.workflowFailureDetails;
  return {
    id: state.instanceId,
    name: state.name,
    status: STATUS[state.runtimeStatus],
    created: state.createdAt.getTime(),
    updated: state.lastUpdatedAt.getTime(),
    input: state.serializedInput ?? null,
    output: state.serializedOutput ?? null,
    custom_status: state.customStatus ?? null,
    failure: failure
      ? {
          type: failure.getErrorType(),
          message: failure.getErrorMessage(),
          stack: failure.getStackTrace() ?? null,
        }
      : null,
  };
}

/** A runtime and a client of one engine. */
class App {
  constructor(name, host, port, activities) {
    this.name = name;
    this.at = { daprHost: host, daprPort: String(port) };
    this.activities = activities;
    this.client = new dapr.DaprWorkflowClient({ ...this.at });
    this.worker = null;
  }

  async start_worker({ options }) {
    const runtime = new dapr.WorkflowRuntime({ ...this.at });
    runtime.registerWorkflowWithName("run", (ctx, start) => run(new Flow(ctx), start));
    for (const { name, program } of options.workflows ?? []) {
      runtime.registerWorkflowWithName(name, (ctx, input) =>
        run(new Flow(ctx), { program, vars: { input } }),
      );
    }
    for (const [name, activity] of Object.entries(this.activities)) {
      runtime.registerActivityWithName(name, (ctx, value) =>
        activity(
          {
            instance: ctx.getWorkflowInstanceId(),
            task: ctx.getWorkflowActivityId(),
            worker: this.name,
          },
          value,
        ),
      );
    }
    await runtime.start();
    this.worker = runtime;
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
    return this.client.scheduleNewWorkflow(workflow, input, instance, startAt);
  }

  async get({ instance, payloads = true }) {
    return stateOf(await this.client.getWorkflowState(instance, payloads));
  }

  async wait_start({ instance, timeout_ms = 30000 }) {
    return stateOf(await this.client.waitForWorkflowStart(instance, true, timeout_ms / 1000));
  }

  async wait_done({ instance, timeout_ms = 30000 }) {
    return stateOf(await this.client.waitForWorkflowCompletion(instance, true, timeout_ms / 1000));
  }

  raise_event({ instance, name, value }) {
    return this.client.raiseEvent(instance, name, value);
  }

  suspend({ instance }) {
    return this.client.suspendWorkflow(instance);
  }

  resume({ instance }) {
    return this.client.resumeWorkflow(instance);
  }

  terminate({ instance, output }) {
    return this.client.terminateWorkflow(instance, output);
  }

  purge({ instance }) {
    return this.client.purgeWorkflow(instance);
  }
}

module.exports = { App };
