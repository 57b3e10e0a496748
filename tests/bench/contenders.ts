import type { Contender } from "./contender.ts";
import { floors, idleFloor } from "./floors.ts";
import { direct, haproxy, stunnel } from "./peers.ts";
import { pgbouncer } from "./pgbouncer.ts";
import { knowsWorkers, proxyProgram } from "./proxy_program.ts";
import type { Stage } from "./stage.ts";
import type { Variant } from "./variant.ts";

/** Everyone for whom there are programs: direct, peers, floors, and each variant of the proxy. */
export async function contendersOn(stage: Stage, variants: readonly Variant[]): Promise<Contender[]> {
  const { toolbox } = stage;
  const [asItIs] = variants;
  const proxies = await Promise.all(variants.map((variant) => proxiesOf(stage, variant)));
  const idle = idleFloor(stage, asItIs);
  return [
    direct(stage),
    ...(toolbox.has("pgbouncer")
      ? [pgbouncer(stage), pgbouncer(stage, { name: "PgBouncer, 2 processes", processes: 2 })]
      : []),
    ...(toolbox.has("haproxy") ? [haproxy(stage)] : []),
    ...(toolbox.has("stunnel") ? [stunnel(stage)] : []),
    ...floors(stage, asItIs),
    ...(idle === undefined ? [] : [idle]),
    ...proxies.flat(),
  ];
}

async function proxiesOf(stage: Stage, variant: Variant): Promise<Contender[]> {
  const two = proxyProgram(stage, { variant, workers: 2 });
  if (await knowsWorkers(stage, variant)) return [proxyProgram(stage, { variant }), two];
  console.error(`${two.name} is left out: this proxy does not know the key workers`);
  return [proxyProgram(stage, { variant })];
}
