/**
 * How a photo's stored pixels lie in the upright photo (EXIF tag 0x0112), as in faceapi/python/orientation.py: the pixel
 * in column a and row b of the upright photo is the stored one in column a and row b; with `swapped` sides in column b
 * and row a. Stored columns and rows are counted from their end where `fromRight` and `fromBottom` say so.
 */
export const STORED = { swapped: false, fromRight: false, fromBottom: false };

const BY_VALUE = new Map([
  [2, { ...STORED, fromRight: true }],
  [3, { ...STORED, fromRight: true, fromBottom: true }],
  [4, { ...STORED, fromBottom: true }],
  [5, { ...STORED, swapped: true }],
  [6, { ...STORED, swapped: true, fromBottom: true }],
  [7, { swapped: true, fromRight: true, fromBottom: true }],
  [8, { ...STORED, swapped: true, fromRight: true }],
]);

/** The orientation of sharp's metadata; as it is stored where they name none. */
export function orientationOf(metadata) {
  return BY_VALUE.get(metadata.orientation) ?? STORED;
}
