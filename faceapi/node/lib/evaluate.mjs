import { oneLine } from './errors.mjs';
import { bestFace } from './geometry.mjs';

/** The smallest photo: where finding no face in it fails too, the networks are at fault. */
const PIXEL = { pixels: new Uint8Array(3), width: 1, height: 1, scale: 1 };

/** Resolves to a photo's faces, or to {reason} if the networks fail on this photo: one photo must not stop its split. */
async function facesOf(photo, findFaces) {
  if (photo.reason !== undefined) return photo;
  try {
    return await findFaces(photo);
  } catch (error) {
    await findFaces(PIXEL);
    return { reason: oneLine(error.message) };
  }
}

/**
 * Evaluates rows one after the other; resolves to {row, face, unreadable} for each.
 *
 * A photo that cannot be read or evaluated is a row without a face, and `remark` is called with the reason. Rejects if
 * the networks fail on any photo.
 */
export async function evaluate(rows, loadPhoto, findFaces, remark) {
  const outcomes = [];
  let upcoming = rows.length > 0 ? loadPhoto(rows[0]) : null;
  for (const [index, row] of rows.entries()) {
    const photo = await upcoming;
    // Decoding has its own thread, so the next photo is ready when this one's faces are found.
    upcoming = index + 1 < rows.length ? loadPhoto(rows[index + 1]) : null;
    const found = await facesOf(photo, findFaces);
    const unreadable = found.reason !== undefined;
    if (unreadable) remark(`unreadable: ${row.image}: ${found.reason}`);
    outcomes.push({ row, face: unreadable ? null : bestFace(found, row.box), unreadable });
  }
  return outcomes;
}
