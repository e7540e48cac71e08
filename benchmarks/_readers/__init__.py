"""Files, and what our readers and the field's libraries say of them.

For readers_agree.py.
"""

from ._made import made_cases
from ._public import public_cases

__all__ = ["made_cases", "public_cases"]
