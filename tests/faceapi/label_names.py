"""The labels that FaceAPI understands besides its own classes, written out: label to class."""

from __future__ import annotations

KOREAN = {
    "기쁨": "happy",
    "당황": "surprised",
    "분노": "angry",
    "불안": "fearful",
    "상처": "disgusted",
    "슬픔": "sad",
    "중립": "neutral",
}
"""The labels of the splits (docs/data.md)."""
OTHER_KOREAN = {
    "행복": "happy",
    "놀람": "surprised",
    "화남": "angry",
    "공포": "fearful",
    "두려움": "fearful",
    "혐오": "disgusted",
    "무표정": "neutral",
}
ENGLISH = {
    "normal": "neutral",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "anxiety": "fearful",
    "anxious": "fearful",
    "disgust": "disgusted",
    "hurt": "disgusted",
    "surprise": "surprised",
    "embarrassed": "surprised",
    "embarrassment": "surprised",
}
ALIASES = {**KOREAN, **OTHER_KOREAN, **ENGLISH}
