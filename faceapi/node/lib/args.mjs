import path from 'node:path';
import { parseArgs } from 'node:util';

import { InputError, oneLine } from './errors.mjs';

const USAGE =
  'usage: node eval_faceapi.mjs <splits.csv> <models dir> <results.csv> [--project-root DIR]' +
  ' [--input-size 416] [--score-threshold 0.5] [--label-map FILE.json] [--probabilities FILE.json]';

const OPTIONS = {
  'project-root': { type: 'string' },
  'input-size': { type: 'string', default: '416' },
  'score-threshold': { type: 'string', default: '0.5' },
  'label-map': { type: 'string' },
  probabilities: { type: 'string' },
};

function parse(argv) {
  try {
    return parseArgs({ args: argv, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new InputError(`${oneLine(error.message)} (${USAGE})`);
  }
}

export function readArgs(argv) {
  const { values, positionals } = parse(argv);
  if (positionals.length !== 3 || positionals.includes('')) throw new InputError(USAGE);
  const [csv, modelsDir, results] = positionals;

  const inputSize = Number(values['input-size']);
  // The detector's strides halve the input five times, so other sizes are refused by the network.
  if (!Number.isInteger(inputSize) || inputSize <= 0 || inputSize % 32 !== 0) {
    throw new InputError(`--input-size must be a positive multiple of 32, not "${values['input-size']}"`);
  }
  const scoreThreshold = Number(values['score-threshold']);
  if (!(scoreThreshold > 0 && scoreThreshold < 1)) {
    throw new InputError(`--score-threshold must lie between 0 and 1, not "${values['score-threshold']}"`);
  }
  // Splits live in <root>/data_shared/splits_csv, and their paths are relative to <root>.
  const projectRoot = path.resolve(values['project-root'] ?? path.join(path.dirname(csv), '..', '..'));
  const { 'label-map': labelMap, probabilities } = values;
  return { csv, modelsDir, results, projectRoot, inputSize, scoreThreshold, labelMap, probabilities };
}
