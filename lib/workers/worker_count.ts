/** How many workers there may be. */
export const MOST_WORKERS = 64;

/** How many workers `service.workers` means on a machine of so many cores. */
export function workerCount(workers: number | "auto", cores: number): number {
  return workers === "auto" ? Math.min(cores, MOST_WORKERS) : workers;
}
