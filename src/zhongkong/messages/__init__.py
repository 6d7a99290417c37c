"""Every text for people, in Chinese and English, by its code.

The texts are in `texts/`, one file per area; a new one is a table with `zh` and `en` that name the same values.
"""

from zhongkong.messages.catalogue import codes, render
from zhongkong.messages.language import LANGUAGES, Language, choose_language

__all__ = ["LANGUAGES", "Language", "choose_language", "codes", "render"]
