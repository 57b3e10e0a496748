import { Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";

/** What one metric is, for whoever reads of it. */
export interface MetricDescription {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** A clause that says what it counts or measures. */
  readonly help: string;
}

/** What a metric is declared by; the values of a label are few, and none of them is a client's word. */
export interface MetricOptions<Label extends string> {
  readonly help: string;
  readonly labels?: readonly Label[];
}

/** The metrics of one process, each declared once. */
export class MetricSet {
  readonly #registry = new Registry();
  readonly #descriptions: MetricDescription[] = [];

  /** In the order of their declaration. */
  get descriptions(): readonly MetricDescription[] {
    return this.#descriptions;
  }

  /** The media type of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /**
   * All of them with their values.
   *
   * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
   */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A number that only grows. */
  counter<Label extends string = never>(name: string, options: MetricOptions<Label>): Counter<Label> {
    return new Counter(this.#declare(name, { type: "counter", ...options }));
  }

  /** A number that goes up and down. */
  gauge<Label extends string = never>(name: string, options: MetricOptions<Label>): Gauge<Label> {
    return new Gauge(this.#declare(name, { type: "gauge", ...options }));
  }

  /** How many of what was measured are up to each of `buckets`. */
  histogram<Label extends string = never>(
    name: string,
    { buckets, ...options }: MetricOptions<Label> & { readonly buckets: readonly number[] },
  ): Histogram<Label> {
    const declared = this.#declare(name, { type: "histogram", ...options });
    return new Histogram({ ...declared, buckets: [...buckets] });
  }

  #declare<Label extends string>(
    name: string,
    { type, help, labels = [] }: MetricOptions<Label> & Pick<MetricDescription, "type">,
  ) {
    this.#descriptions.push({ name, type, labels, help });
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}
