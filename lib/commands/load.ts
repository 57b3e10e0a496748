import { type ConfigurationSource, loadConfiguration, THIS_MACHINE } from "../config/load.ts";
import { checkPermissions } from "../config/permissions.ts";
import { atOnce, inTurns } from "../long_work.ts";
import type { IssuerSettings } from "../token/schema.ts";
import { type IssuerProblem, IssuersMisconfigured, type TokenEvent } from "../token/token_event.ts";
import { TokenVerifier, type TokenVerifierOutside } from "../token/token_verifier.ts";
import { recording } from "../workers/read_inputs.ts";
import type { Served } from "../workers/serving.ts";

/** A configuration that can be served, and who says by it whether a token is good. */
export interface Loaded extends Served {
  readonly verifier: TokenVerifier;
}

/** Why the program cannot start, one sentence a line. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * Loads a configuration and makes sure of all that it names: its issuers are asked for their keys, except for those whose
 * keys are known from `before`.
 *
 * @throws {ConfigurationError} with all that is wrong with it
 * @throws {StartError} when a permission is missing
 */
export async function load(
  source: ConfigurationSource,
  report: (event: TokenEvent) => void,
  before?: Loaded,
): Promise<Loaded> {
  const loaded = await open(source, {
    report,
    before: before?.verifier,
    probe: (verifier) => verifier.probe(),
  });
  const { configuration, verifier } = loaded;
  const missing = await checkPermissions(configuration, (descriptor) => Deno.permissions.query(descriptor));
  if (missing === undefined) return loaded;
  await verifier.close();
  throw new StartError(missing);
}

/** How a configuration's issuers are opened. */
export interface OpenOptions {
  readonly report: (event: TokenEvent) => void;
  /** What it has open of the same issuers goes on being used: {@link TokenVerifierOutside.before}. */
  readonly before?: TokenVerifier;
  /** Asks the issuers whatever is to be asked of them before anything else is. */
  readonly probe: (verifier: TokenVerifier) => Promise<readonly IssuerProblem[]>;
}

/**
 * Loads a configuration and opens its issuers.
 *
 * @throws {ConfigurationError} with all that is wrong with it
 */
export async function open(
  source: ConfigurationSource,
  { report, before, probe }: OpenOptions,
): Promise<Loaded> {
  let verifier: TokenVerifier | undefined;
  const { outside, inputs } = recording(source, THIS_MACHINE);
  // Whoever is connected waits for a reload, and nobody for a program that starts.
  const pace = before === undefined ? atOnce : inTurns;
  try {
    const configuration = await loadConfiguration(source, {
      ...outside,
      pace,
      checkIssuers: async (issuers, about) => {
        const opened = await openVerifier(issuers, { ...about, fetch, now: Date.now, report, before });
        verifier = opened.verifier;
        return [...opened.problems, ...verifier === undefined ? [] : await probe(verifier)];
      },
    });
    return { configuration, verifier: verifier!, inputs };
  } catch (error) {
    await verifier?.close();
    throw error;
  }
}

/** A verifier for those issuers that can be had, and what is wrong with the others. */
export async function openVerifier(
  issuers: readonly IssuerSettings[],
  outside: TokenVerifierOutside,
): Promise<{ readonly verifier?: TokenVerifier; readonly problems: readonly IssuerProblem[] }> {
  try {
    return { verifier: await TokenVerifier.create(issuers, outside), problems: [] };
  } catch (error) {
    if (!(error instanceof IssuersMisconfigured)) throw error;
    const { problems } = error;
    const others = issuers.filter(({ name }) => !problems.some(({ issuer }) => issuer === name));
    const opened = others.length < issuers.length ? await openVerifier(others, outside) : { problems: [] };
    return { ...opened, problems: [...problems, ...opened.problems] };
  }
}
