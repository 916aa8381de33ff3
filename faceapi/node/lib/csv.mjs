import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';

import { BOX_COLUMNS, FRAME_COLUMN, FRAMES, IMAGE_COLUMNS, LABEL_COLUMNS, RESULT_COLUMNS } from './contract.mjs';
import { InputError, oneLine } from './errors.mjs';

function readTable(file) {
  let header = [];
  try {
    const records = parse(readFileSync(file), {
      bom: true,
      // Files put together from several machines mix line ends, which the parser's own guess does not allow.
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      columns: (names) => (header = names.map((name) => name.trim())),
    });
    return { header, records };
  } catch (error) {
    throw new InputError(`cannot read ${file}: ${oneLine(error.message)}`);
  }
}

function pickColumns(file, header) {
  const image = IMAGE_COLUMNS.find((name) => header.includes(name));
  const label = LABEL_COLUMNS.find((name) => header.includes(name));
  const missing = BOX_COLUMNS.filter((name) => !header.includes(name));
  if (!label) missing.unshift(LABEL_COLUMNS.join('|'));
  if (!image) missing.unshift(IMAGE_COLUMNS.join('|'));
  if (missing.length > 0) throw new InputError(`${file}: missing columns: ${missing.join(', ')}`);
  return { image, label };
}

function readBox(record, where) {
  const box = {};
  for (const name of BOX_COLUMNS) {
    // Number('') is 0, which would pass an empty cell off as a coordinate.
    box[name] = record[name].trim() === '' ? NaN : Number(record[name]);
    if (!Number.isFinite(box[name])) throw new InputError(`${where}: ${name} is not a number: "${record[name]}"`);
  }
  return box;
}

function readUpright(record, where) {
  const frame = (record[FRAME_COLUMN] ?? '').trim();
  if (!Object.hasOwn(FRAMES, frame)) throw new InputError(`${where}: ${FRAME_COLUMN} is not stored or upright: "${frame}"`);
  return FRAMES[frame];
}

/** Every row is checked here, before any photo is opened: a bad row must not cost a finished evaluation. */
export function readRows(file, classOf) {
  const { header, records } = readTable(file);
  const columns = pickColumns(file, header);
  return records.map((record, index) => {
    const where = `${file}: row ${index + 1}`;
    const label = classOf(record[columns.label]);
    if (!label) throw new InputError(`${where}: unknown label "${oneLine(record[columns.label])}"`);
    return { image: record[columns.image], label, box: readBox(record, where), upright: readUpright(record, where) };
  });
}

/** Fails early on a target that could not be written, rather than after the evaluation. */
export function prepareTarget(file) {
  try {
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  } catch (error) {
    throw new InputError(`cannot make the folder of ${file}: ${oneLine(error.message)}`);
  }
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new InputError(`${file} is a folder`);
}

export function writeResults(file, results) {
  writeWhole(file, stringify(results, { header: true, columns: RESULT_COLUMNS, record_delimiter: '\n' }));
}

/** Writes a JSON array with the seven probabilities of each row's face, in the order of CLASSES; null without a face. */
export function writeProbabilities(file, faces) {
  writeWhole(file, JSON.stringify(faces.map((face) => face?.probabilities ?? null)));
}

/** Writes the file beside the target and renames it, so that a reader sees the whole file or none of it. */
function writeWhole(file, text) {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}
