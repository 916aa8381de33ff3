/** Intersection over union of two {minX, minY, maxX, maxY} boxes; 0 where either has no area. */
export function iou(a, b) {
  const width = Math.min(a.maxX, b.maxX) - Math.max(a.minX, b.minX);
  const height = Math.min(a.maxY, b.maxY) - Math.max(a.minY, b.minY);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (area(a) + area(b) - shared);
}

function area(box) {
  return (box.maxX - box.minX) * (box.maxY - box.minY);
}

/**
 * Chooses the face with the highest IoU with the wanted box; returns {...face, iou}, or null if there is no face. The
 * score breaks ties, so that the choice does not depend on the detector's order where no face touches the box.
 */
export function bestFace(faces, wanted) {
  const ranked = faces.map((face) => ({ ...face, iou: iou(face.box, wanted) }));
  ranked.sort((a, b) => b.iou - a.iou || b.score - a.score);
  return ranked[0] ?? null;
}
