import { readFileSync } from 'node:fs';

import { ALIASES, CLASSES } from './contract.mjs';
import { InputError, oneLine } from './errors.mjs';

/** Korean labels arrive decomposed from some tools, English ones in any case. */
function key(label) {
  return label.normalize('NFC').trim().toLowerCase();
}

function readLabelMap(file) {
  let map;
  try {
    map = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new InputError(`cannot read the label map ${file}: ${oneLine(error.message)}`);
  }
  if (map === null || typeof map !== 'object' || Array.isArray(map)) {
    throw new InputError(`label map ${file}: expected an object {"label": "class"}`);
  }
  for (const [label, name] of Object.entries(map)) {
    if (!CLASSES.includes(name)) {
      throw new InputError(`label map ${file}: "${label}" maps to "${name}", not one of ${CLASSES.join(', ')}`);
    }
  }
  return map;
}

/** Returns label -> face-api class (undefined if unknown); the user's map wins over the built-in names. */
export function labelReader(mapFile) {
  const known = new Map(CLASSES.map((name) => [name, name]));
  for (const [label, name] of Object.entries(ALIASES)) known.set(key(label), name);
  if (mapFile !== undefined) {
    for (const [label, name] of Object.entries(readLabelMap(mapFile))) known.set(key(label), name);
  }
  return (label) => known.get(key(label));
}
