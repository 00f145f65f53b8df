"""The C library's allocator, set to keep the memory that a step gives back.

XLA's programs on a CPU allocate their temporary arrays anew at every run, up to
hundreds of megabytes. glibc returns such blocks to the system at once, and each
page of the next step is a page fault and 4 KiB of zeros.
"""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import os
import sys

VARIABLE = "GTZAN_KEEP_MEMORY"  # "0" leaves the allocator as it is

# Parameters of mallopt in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_SETTINGS = (
  (_MMAP_MAX, 0),  # large blocks come from the heap too,
  (_TRIM_THRESHOLD, -1),  # whose end is never returned,
  (_TOP_PAD, 2**24),
  (_ARENA_MAX, 1),  # and there is one: others cannot hold large blocks
)
_MADV_HUGEPAGE = 14
_HUGE_PAGE = 2**21
_ALL = ctypes.c_size_t(2**62)  # what may stay at the end of the heap: all of it

_kept: ctypes.CDLL | None = None  # the library, once it is set


def keep_memory() -> bool:
  """Keeps freed memory in this process, in huge pages where the system can.

  Acts on glibc (Linux) with JAX on the CPU alone; elsewhere, and with
  GTZAN_KEEP_MEMORY=0, nothing is changed. Call it before JAX runs its first
  program: threads that have an arena of their own keep it.

  Returns whether the allocator was set.
  """
  if os.environ.get(VARIABLE) == "0" or not _is_cpu_only():
    return False
  if not sys.platform.startswith("linux"):
    return False
  library = ctypes.CDLL(None)
  # musl has no mallopt, and its name would not be glibc's.
  if not hasattr(library, "gnu_get_libc_version"):
    return False
  if not all(library.mallopt(*setting) for setting in _SETTINGS):
    return False
  with contextlib.suppress(OSError, ValueError):
    _use_huge_pages(library)
  global _kept
  _kept = library
  return True


def keeps() -> bool:
  """Whether `keep_memory` has set the allocator of this process."""
  return _kept is not None


def release_unused() -> None:
  """Returns the pages of free blocks; what is used again faults once more.

  The next step's memory rarely fits where the last one's was: glibc asks for
  some bytes more than it needs, to align them. So the first steps leave several
  blocks of that size behind.
  """
  if _kept is not None:
    _kept.malloc_trim(_ALL)


def _is_cpu_only() -> bool:
  """Whether JAX will use the CPU, found without starting a backend."""
  platforms = os.environ.get("JAX_PLATFORMS")
  if platforms:
    return platforms == "cpu"
  plugins = importlib.metadata.entry_points(group="jax_plugins")
  return not plugins and importlib.util.find_spec("libtpu") is None


def _use_huge_pages(library: ctypes.CDLL) -> None:
  """Advises them for the heap to come, which is not touched yet.

  A page of 2 MiB takes one fault and one entry of the TLB in place of 512.
  """
  size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
  library.malloc.restype = ctypes.c_void_p
  library.malloc.argtypes = [ctypes.c_size_t]
  library.free.argtypes = [ctypes.c_void_p]
  library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  if block := library.malloc(size):  # None: more than the system promises
    start = -(-block // _HUGE_PAGE) * _HUGE_PAGE
    library.madvise(start, block + size - start, _MADV_HUGEPAGE)
    library.free(block)  # the end of the heap, which is kept
