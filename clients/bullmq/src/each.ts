// Many things at the same time, where each is a request.

/** Jobs that are removed or changed at the same time. */
const AT_ONCE = 32;

/** Does something with each, a few at a time. */
export async function each<T>(all: T[], act: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) {
    await Promise.all(all.slice(from, from + AT_ONCE).map(act));
  }
}
