/**
 * The JavaScript interpreter of the suite's workflow programs (the language: program.py above).
 *
 * `run` is the body of a workflow: an async generator that yields the SDK's own tasks. `flow` is the
 * adapter's view of the SDK's context; everything that an SDK does in its own way is behind it.
 */
"use strict";

/** What a program or activity throws when it is told to fail. */
class ScenarioError extends Error {
  constructor(message) {
    super(message);
    this.name = "ScenarioError";
  }
}

/** The program ended: with an output, or by continuing as new. */
class Ended {
  constructor(value) {
    this.value = value;
  }
}

/** Walk over `start.program`; the workflow's output is what it gives. */
async function* run(flow, start) {
  const state = { flow, start, variables: { ...(start.vars ?? {}) }, tasks: {} };
  const ended = yield* block(state, start.program);
  return ended?.value;
}

async function* block(state, steps) {
  const { flow, start, variables, tasks } = state;
  for (const step of steps) {
    const into = step.as;
    let result = null;
    switch (step.op) {
      case "task": {
        const made = flow[step.what.kind](valueOf(step.what, variables));
        if (step.push) (tasks[step.push] ??= []).push(made);
        else tasks[into] = made;
        continue;
      }
      case "wait":
        result = yield tasks[step.task];
        break;
      case "all":
        result = yield flow.all(named(step.tasks, tasks));
        break;
      case "any": {
        const group = named(step.tasks, tasks);
        const winner = yield flow.any(group);
        result = group.indexOf(winner);
        break;
      }
      case "set":
        result = valueOf(step.value, variables);
        break;
      case "append":
        result = [...(variables[into] ?? []), valueOf(step.value, variables)];
        break;
      case "if":
      case "loop":
      case "try": {
        const ended = yield* nested(state, step);
        if (ended) return ended;
        break;
      }
      case "return":
        return new Ended(valueOf(step.value, variables));
      case "fail":
        throw new ScenarioError(valueOf(step.message, variables));
      case "again": {
        const fresh = { program: start.program, vars: valueOf(step.vars, variables) };
        flow.again(fresh, step.keep_events);
        return new Ended(undefined);
      }
      case "send":
        flow.send(valueOf(step.to, variables), step.name, valueOf(step.value, variables));
        break;
      case "status":
      case "trace":
      case "log":
        flow[step.op](valueOf(step.value, variables));
        break;
      case "uuid":
      case "info":
        result = flow[step.op]();
        break;
      case "now":
        result = flow.nowMs();
        break;
      default:
        throw new Error(`no such step: ${step.op}`);
    }
    if (into) variables[into] = result ?? null;
  }
  return undefined;
}

async function* nested(state, step) {
  const { flow, variables } = state;
  if (step.op === "if") {
    const left = valueOf(step.left, variables);
    const right = valueOf(step.right, variables);
    const holds = step.cmp === "==" ? left === right : left < right;
    return yield* block(state, holds ? step.then : step.else);
  }
  if (step.op === "loop") {
    const count = valueOf(step.count, variables);
    for (let i = 0; i < count; i += 1) {
      variables.i = i;
      const ended = yield* block(state, step.body);
      if (ended) return ended;
    }
    return undefined;
  }
  try {
    return yield* block(state, step.body);
  } catch (error) {
    if (!flow.isTaskError(error)) throw error;
    variables.error = failureOf(error.details ?? error);
  }
  return yield* block(state, step.catch);
}

function named(names, tasks) {
  return typeof names === "string" ? (tasks[names] ?? []) : names.map((name) => tasks[name]);
}

/** Failure details as JSON: type, message, stack. */
function failureOf(details) {
  return {
    type: details.errorType ?? details.getErrorType?.() ?? details.constructor.name,
    message: details.message ?? details.getErrorMessage?.(),
    stack: details.stackTrace ?? details.getStackTrace?.() ?? null,
  };
}

/** The value of an expression of the language. */
function valueOf(expression, variables) {
  if (Array.isArray(expression)) return expression.map((part) => valueOf(part, variables));
  if (expression === null || typeof expression !== "object") return expression;
  if ("program" in expression) {
    return { ...expression, vars: valueOf(expression.vars ?? {}, variables) };
  }
  if ("$var" in expression) return variables[expression.$var] ?? null;
  if ("$get" in expression) {
    const [found, ...path] = valueOf(expression.$get, variables);
    return path.reduce((value, key) => value[key], found) ?? null;
  }
  if ("$add" in expression) {
    const [left, right] = valueOf(expression.$add, variables);
    return left + right;
  }
  if ("$len" in expression) return valueOf(expression.$len, variables).length;
  const entries = Object.entries(expression);
  return Object.fromEntries(entries.map(([key, part]) => [key, valueOf(part, variables)]));
}

module.exports = { run, failureOf, ScenarioError };
