/** Whether a promise is still pending when all that this process can do at once has been done. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const unsettled = Symbol();
  const soon = new Promise((resolve) => setTimeout(resolve, 50, unsettled));
  const first = await Promise.race([promise.catch(() => {}), soon]);
  await soon;
  return first === unsettled;
}
