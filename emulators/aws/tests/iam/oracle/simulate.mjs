// Evaluates pairs of request and policies with @cloud-copilot/iam-simulate. Reads one JSON object a line from stdin,
// writes one a line to stdout, in the same order. Decides nothing itself, and fails for a pair that the simulator
// refuses or of which it ignores a context key, because such a pair would compare nothing.
import { createInterface } from "node:readline";
import {
  getDenialReasons,
  getGrantReasons,
  isConditionKeyArray,
  runSimulation,
  typeForContextKey,
} from "@cloud-copilot/iam-simulate";

const named = (policies) => policies.map(([name, policy]) => ({ name, policy }));

async function simulate(pair) {
  for (const [key, value] of Object.entries(pair.context)) {
    if (isConditionKeyArray(await typeForContextKey(key.toLowerCase())) !== Array.isArray(value)) {
      throw new Error(`${key} has a ${Array.isArray(value) ? "list" : "single value"}, against the service's data`);
    }
  }
  const outcome = await runSimulation(
    {
      request: {
        principal: pair.principal === "anonymous" ? { type: "Anonymous" } : pair.principal,
        action: pair.action,
        resource: { resource: pair.resource, accountId: pair.resource_account },
        contextVariables: pair.context,
      },
      identityPolicies: named(pair.identity),
      permissionBoundaryPolicies: pair.boundary ? named([pair.boundary]) : undefined,
      sessionPolicy: pair.session ? pair.session[1] : undefined,
      resourcePolicy: pair.resource_policy ? pair.resource_policy[1] : undefined,
      serviceControlPolicies: pair.service_control.map((level, index) => ({
        orgIdentifier: `level-${index}`,
        policies: named(level),
      })),
      resourceControlPolicies: [],
    },
    { simulationMode: "Strict" },
  );
  if (outcome.resultType !== "single") throw new Error(JSON.stringify(outcome.errors ?? outcome.resultType));
  const ignored = outcome.result.ignoredContextKeys;
  if (ignored.length > 0) throw new Error(`ignored context keys: ${ignored.join(", ")}`);
  const analysis = outcome.result.analysis;
  return {
    result: analysis.result,
    blocked_by: analysis.blockedBy ?? [],
    denials: getDenialReasons(analysis),
    grants: getGrantReasons(analysis),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const pair = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify(await simulate(pair))}\n`);
  } catch (error) {
    throw new Error(`pair ${pair.number}: ${error.message}\n${line}`, { cause: error });
  }
}
