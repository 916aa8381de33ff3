import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** The names of each folder that was read, by their composed form. */
const folders = new Map();

async function namesIn(folder) {
  const found = new Map();
  for (const name of await readdir(folder).catch(() => [])) {
    const key = name.normalize('NFC');
    found.set(key, [...(found.get(key) ?? []), name]);
  }
  return found;
}

/**
 * The paths on disk below a folder whose components equal the given ones in NFC, each by itself: folders that come from
 * several machines mix both forms in one path. A name as it is written comes before the same name in another form.
 */
export async function spellingsOf(folder, [first, ...rest]) {
  if (!folders.has(folder)) folders.set(folder, namesIn(folder));
  const names = (await folders.get(folder)).get(first.normalize('NFC')) ?? [first];
  const ordered = [...names].sort((a, b) => (b === first) - (a === first) || (a < b ? -1 : 1));
  const found = ordered.map((name) => path.join(folder, name));
  return rest.length === 0 ? found : (await Promise.all(found.map((each) => spellingsOf(each, rest)))).flat();
}
