import { readFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { MAX_PIXELS, MAX_SIDE } from './contract.mjs';
import { oneLine } from './errors.mjs';
import { orientationOf, STORED } from './orientation.mjs';
import { spellingsOf } from './spelling.mjs';

// One decoding thread and no operation cache: shards run side by side, and memory must stay flat.
sharp.concurrency(1);
sharp.cache(false);

// sharp reads more formats; these are the ones that the onnx engine reads too.
const FORMATS = ['jpeg', 'png', 'webp', 'gif'];

async function readFirst(files) {
  for (const file of files) {
    try {
      return await readFile(file);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return null;
}

/** The same Korean name may be stored composed (Linux, Windows) or decomposed (macOS, some archives). */
async function readBytes(root, image) {
  const relative = image.replaceAll('\\', '/');
  const whole = new Set([relative, relative.normalize('NFC'), relative.normalize('NFD')]);
  const bytes =
    (await readFirst([...whole].map((spelling) => path.resolve(root, spelling)))) ??
    (await readFirst(await spellingsOf(root, relative.split('/'))));
  if (bytes === null) throw new Error('no such file');
  return bytes;
}

/**
 * Turns the pixels as `orientation` says, and keeps every step-th pixel of every step-th row, from the first one of the
 * turned photo on; a remainder at the ends is left out.
 *
 * The wasm heap ends at 4 GB, and running out of it ends the whole process: the detector pads to a square and works on
 * several 32-bit copies of it, so a photo of 90 megapixels is too much. face-api's own resizing loses as much: it looks
 * at no more than four pixels of the photo for one pixel of its input.
 */
function laidOut({ data, info }, step, { swapped, fromRight, fromBottom }) {
  const columns = Math.floor(info.width / step) || 1;
  const rows = Math.floor(info.height / step) || 1;
  const [width, height] = swapped ? [rows, columns] : [columns, rows];
  const across = 3 * step * (fromRight ? -1 : 1);
  const down = 3 * step * info.width * (fromBottom ? -1 : 1);
  const [right, below] = swapped ? [down, across] : [across, down];
  let line = 3 * ((fromRight ? info.width - 1 : 0) + (fromBottom ? info.height - 1 : 0) * info.width);
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0, to = 0; y < height; y += 1, line += below) {
    for (let x = 0, from = line; x < width; x += 1, from += right, to += 3) {
      pixels[to] = data[from];
      pixels[to + 1] = data[from + 1];
      pixels[to + 2] = data[from + 2];
    }
  }
  return { pixels, width, height, scale: step };
}

/**
 * Resolves to {pixels, width, height, scale}: 8-bit RGB, and how many of the file's pixels one of its pixels spans; to
 * {reason} if the photo cannot be read. Never rejects, so that a photo may be decoded ahead of its turn. EXIF orientation
 * is applied where the row says that its box is in the `upright` photo, and else not.
 */
export async function loadPhoto(root, { image, upright }) {
  try {
    const bytes = await readBytes(root, image);
    const photo = sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: MAX_PIXELS });
    const stored = await photo.metadata();
    if (!FORMATS.includes(stored.format)) throw new Error('unsupported image format');
    // Pillow and libvips convert inks to different colours.
    if (stored.space === 'cmyk') throw new Error('unsupported colours: cmyk');
    const { data, info } = await photo
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const step = Math.ceil(Math.max(info.width, info.height) / MAX_SIDE);
    const orientation = upright ? orientationOf(stored) : STORED;
    if (step > 1 || orientation !== STORED) return laidOut({ data, info }, step, orientation);
    return { pixels: data, width: info.width, height: info.height, scale: 1 };
  } catch (error) {
    return { reason: oneLine(error.message) };
  }
}
