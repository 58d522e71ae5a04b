/** The adapter for @microsoft/durabletask-js. */
"use strict";

const { failureOf, run } = require("./interpreter.js");
const { note } = require("./activities.js");
const { sdk } = require("./modules.js");

const dt = sdk("@microsoft/durabletask-js");
const STATUS = dt.OrchestrationStatus;

class Flow {
  constructor(ctx) {
    this.ctx = ctx;
  }

  isTaskError(error) {
    return error instanceof dt.TaskFailedError;
  }

  activity(what) {
    const options = { retry: retryOf(what), tags: what.tags };
    return this.ctx.callActivity(what.name, what.input, options);
  }

  child(what) {
    const options = { retry: retryOf(what), instanceId: what.id, version: what.version };
    return this.ctx.callSubOrchestrator(what.name, what.input, options);
  }

  timer(what) {
    return this.ctx.createTimer(new Date(this.nowMs() + (what.at ?? what.ms)));
  }

  event(what) {
    return this.ctx.waitForExternalEvent(what.name);
  }

  all(tasks) {
    return dt.whenAll(tasks);
  }

  any(tasks) {
    return dt.whenAny(tasks);
  }

  status(value) {
    this.ctx.setCustomStatus(value);
  }

  again(value, keepEvents) {
    this.ctx.continueAsNew(value, keepEvents);
  }

  send(target, name, value) {
    this.ctx.sendEvent(target, name, value);
  }

  uuid() {
    return this.ctx.newGuid();
  }

  nowMs() {
    return this.ctx.currentUtcDateTime.getTime();
  }

  info() {
    const parent = this.ctx.parent?.instanceId ?? null;
    return { id: this.ctx.instanceId, parent, version: this.ctx.version };
  }

  trace(value) {
    note(this.ctx.instanceId, [value, this.ctx.isReplaying]);
  }

  log(value) {
    const write = (message) => note(`log:${this.ctx.instanceId}`, message);
    const logger = { error: write, warn: write, info: write, debug: write };
    this.ctx.createReplaySafeLogger(logger).info(value);
  }
}

function retryOf(what) {
  const policy = what.retry;
  if (!policy) return undefined;
  return new dt.RetryPolicy({
    maxNumberOfAttempts: policy.attempts,
    firstRetryIntervalInMilliseconds: policy.first_ms,
    backoffCoefficient: policy.backoff,
    maxRetryIntervalInMilliseconds: policy.max_ms,
    retryTimeoutInMilliseconds: policy.timeout_ms,
    handleFailure: policy.final && ((failure) => !policy.final.includes(failure.errorType)),
  });
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
    tags: state.tags,
  };
}

function statusesOf(names) {
  return names?.map((name) => STATUS[name]);
}

function dateOf(ms) {
  return ms === undefined ? undefined : new Date(ms);
}

/** A worker and a client of one engine. */
class App {
  constructor(name, host, port, activities) {
    this.name = name;
    this.hostAddress = `${host}:${port}`;
    this.activities = activities;
    this.client = new dt.TaskHubGrpcClient({
      hostAddress: this.hostAddress,
      logger: new dt.NoOpLogger(),
    });
    this.worker = null;
  }

  async start_worker({ options }) {
    const named = (word) => word?.toLowerCase().replaceAll("_", "");
    const pick = (choices, word) =>
      choices[Object.keys(choices).find((key) => key.toLowerCase() === named(word))];
    const versioning = options.version && {
      version: options.version,
      matchStrategy: pick(dt.VersionMatchStrategy, options.match),
      failureStrategy: pick(dt.VersionFailureStrategy, options.on_mismatch),
    };
    const worker = new dt.TaskHubGrpcWorker({
      hostAddress: this.hostAddress,
      logger: new dt.NoOpLogger(),
      versioning,
      workItemFilters: options.filters ? "auto" : undefined,
      shutdownTimeoutMs: 1000,
    });
    worker.addNamedOrchestrator("run", (ctx, start) => run(new Flow(ctx), start));
    for (const { name, program } of options.workflows ?? []) {
      worker.addNamedOrchestrator(name, (ctx, input) =>
        run(new Flow(ctx), { program, vars: { input } }),
      );
    }
    for (const [name, activity] of Object.entries(this.activities)) {
      if (options.without?.includes(name)) continue;
      worker.addNamedActivity(name, (ctx, value) =>
        activity({ instance: ctx.orchestrationId, task: ctx.taskId, worker: this.name }, value),
      );
    }
    await worker.start();
    this.worker = worker;
  }

  async stop_worker() {
    await this.worker?.stop();
    this.worker = null;
  }

  async close() {
    await this.stop_worker();
    await this.client.stop();
  }

  start({ input, workflow = "run", instance, at_ms, tags, version }) {
    const options = { instanceId: instance, startAt: dateOf(at_ms), tags, version };
    return this.client.scheduleNewOrchestration(workflow, input, options);
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

  terminate({ instance, output, recursive = true }) {
    const options = dt.terminateOptions({ output, recursive });
    return this.client.terminateOrchestration(instance, options);
  }

  async purge({ instance, recursive }) {
    return (await this.client.purgeOrchestration(instance, { recursive }))?.deletedInstanceCount;
  }

  async purge_where({ statuses, from_ms, to_ms, recursive }) {
    const criteria = new dt.PurgeInstanceCriteria();
    criteria.setRuntimeStatusList(statusesOf(statuses) ?? []);
    criteria.setCreatedTimeFrom(dateOf(from_ms));
    criteria.setCreatedTimeTo(dateOf(to_ms));
    return (await this.client.purgeOrchestration(criteria, { recursive }))?.deletedInstanceCount;
  }

  async query({ statuses, prefix, page_size, payloads = false, from_ms, to_ms }) {
    const found = [];
    const pages = this.client.getAllInstances({
      statuses: statusesOf(statuses),
      instanceIdPrefix: prefix,
      pageSize: page_size,
      fetchInputsAndOutputs: payloads,
      createdFrom: dateOf(from_ms),
      createdTo: dateOf(to_ms),
    });
    for await (const state of pages) found.push(stateOf(state));
    return found;
  }

  async list_ids({ page_size, statuses }) {
    const pages = [];
    let lastInstanceKey;
    do {
      const options = { pageSize: page_size, runtimeStatus: statusesOf(statuses), lastInstanceKey };
      const page = await this.client.listInstanceIds(options);
      pages.push(page.values);
      lastInstanceKey = page.continuationToken;
    } while (lastInstanceKey);
    return pages;
  }

  async history({ instance }) {
    const events = await this.client.getOrchestrationHistory(instance);
    return events.map((event) => ({
      type: event.type,
      id: event.eventId,
      name: event.name ?? null,
      at: event.timestamp.getTime(),
    }));
  }

  restart({ instance, new_id }) {
    return this.client.restartOrchestration(instance, new_id);
  }

  rewind({ instance }) {
    return this.client.rewindInstance(instance, "try again");
  }

  signal_entity({ entity, key, operation }) {
    return this.client.signalEntity(new dt.EntityInstanceId(entity, key), operation);
  }

  async get_entity({ entity, key }) {
    return Boolean(await this.client.getEntity(new dt.EntityInstanceId(entity, key)));
  }
}

module.exports = { App };
