"""Which functions and methods read, write, list or ask for files, and where they take the path.

Tables only. A generous list of writers only explains more; a reader on it may accuse, so that a
function which is content without the file is marked so.
"""

from __future__ import annotations

from typing import NamedTuple

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pdf", ".svg")
FOLDERS = ("/",)
WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".tar", ".safetensors")


class Opener(NamedTuple):
    """A function with a path and a mode that says whether it writes."""

    position: int
    keyword: str
    mode_position: int = 1


class Reader(NamedTuple):
    """`optional`: it looks elsewhere, too, or passes over a file that is not there."""

    position: int
    keyword: str
    optional: bool = False


class Writer(NamedTuple):
    """`appended`: the suffix that it gives a name without. `kinds`: what its files end in where
    the name itself does not say (none: in anything)."""

    position: int
    keywords: tuple[str, ...]
    appended: str = ""
    kinds: tuple[str, ...] = ()


OPENERS = {
    "builtins.open": Opener(0, "file"),
    "io.open": Opener(0, "file"),
    "codecs.open": Opener(0, "filename"),
    "gzip.open": Opener(0, "filename"),
    "bz2.open": Opener(0, "filename"),
    "lzma.open": Opener(0, "filename"),
    "h5py.File": Opener(0, "name"),
    "zipfile.ZipFile": Opener(0, "file"),
    "tarfile.open": Opener(0, "name"),
    "numpy.memmap": Opener(0, "filename", 2),
}

# What runs the file that it is given as Python.
RUNNERS = {
    "importlib.util.spec_from_file_location": Reader(1, "location"),
    "importlib.machinery.SourceFileLoader": Reader(1, "path"),
    "runpy.run_path": Reader(0, "path_name"),
}
READERS = {
    **RUNNERS,
    "numpy.load": Reader(0, "file"),
    "numpy.loadtxt": Reader(0, "fname"),
    "numpy.genfromtxt": Reader(0, "fname"),
    "numpy.fromfile": Reader(0, "file"),
    "torch.load": Reader(0, "f"),
    "torch.jit.load": Reader(0, "f"),
    "safetensors.safe_open": Reader(0, "filename"),
    "safetensors.torch.load_file": Reader(0, "filename"),
    "safetensors.torch.load_model": Reader(1, "filename"),
    "cv2.imread": Reader(0, "filename"),
    "cv2.CascadeClassifier": Reader(0, "filename"),
    "cv2.dnn.readNet": Reader(0, "model"),
    "cv2.dnn.readNetFromCaffe": Reader(0, "prototxt"),
    "cv2.dnn.readNetFromDarknet": Reader(0, "cfgFile"),
    "cv2.dnn.readNetFromONNX": Reader(0, "onnxFile"),
    "cv2.dnn.readNetFromTensorflow": Reader(0, "model"),
    "cv2.dnn.readNetFromTorch": Reader(0, "model"),
    "cv2.ximgproc.createStructuredEdgeDetection": Reader(0, "model"),
    "PIL.Image.open": Reader(0, "fp"),
    # fonts of the system are found by their name alone
    "PIL.ImageFont.truetype": Reader(0, "font", optional=True),
    "PIL.ImageFont.load": Reader(0, "filename"),
    "imageio.imread": Reader(0, "uri"),
    "imageio.v2.imread": Reader(0, "uri"),
    "imageio.v3.imread": Reader(0, "uri"),
    "skimage.io.imread": Reader(0, "fname"),
    "matplotlib.pyplot.imread": Reader(0, "fname"),
    "matplotlib.image.imread": Reader(0, "fname"),
    "torchvision.io.read_file": Reader(0, "path"),
    "torchvision.io.read_image": Reader(0, "path"),
    "pandas.read_csv": Reader(0, "filepath_or_buffer"),
    "pandas.read_json": Reader(0, "path_or_buf"),
    "pandas.read_pickle": Reader(0, "filepath_or_buffer"),
    "pandas.read_excel": Reader(0, "io"),
    "pandas.read_table": Reader(0, "filepath_or_buffer"),
    "pandas.read_parquet": Reader(0, "path"),
    "pandas.read_feather": Reader(0, "path"),
    "joblib.load": Reader(0, "filename"),
    "scipy.io.loadmat": Reader(0, "file_name"),
    "scipy.sparse.load_npz": Reader(0, "file"),
    "onnx.load": Reader(0, "f"),
    "onnxruntime.InferenceSession": Reader(0, "path_or_bytes"),
}
# A second file that a function reads, where it is given one.
SECOND_READERS = {
    "cv2.dnn.readNet": Reader(1, "config"),
    "cv2.dnn.readNetFromCaffe": Reader(1, "caffeModel"),
    "cv2.dnn.readNetFromDarknet": Reader(1, "darknetModel"),
    "cv2.dnn.readNetFromTensorflow": Reader(1, "config"),
}
# Whatever object they are called on: `ConfigParser().read("config.ini")`.
READING_METHODS = {"read": Reader(0, "filenames", optional=True)}

WRITERS = {
    "numpy.save": Writer(0, ("file",), appended=".npy"),
    "numpy.savez": Writer(0, ("file",), appended=".npz"),
    "numpy.savez_compressed": Writer(0, ("file",), appended=".npz"),
    "scipy.sparse.save_npz": Writer(0, ("file",), appended=".npz"),
    "numpy.savetxt": Writer(0, ("fname",)),
    "torch.save": Writer(1, ("f",), kinds=WEIGHTS),
    "torch.jit.save": Writer(1, ("f",), kinds=WEIGHTS),
    "torch.onnx.export": Writer(2, ("f",), kinds=(".onnx",)),
    "safetensors.torch.save_file": Writer(1, ("filename",), kinds=WEIGHTS),
    "safetensors.torch.save_model": Writer(1, ("filename",), kinds=WEIGHTS),
    "joblib.dump": Writer(1, ("filename",), kinds=WEIGHTS),
    "scipy.io.savemat": Writer(0, ("file_name",), kinds=(".mat",)),
    "cv2.imwrite": Writer(0, ("filename",), kinds=PICTURES),
    "imageio.imwrite": Writer(0, ("uri",), kinds=PICTURES),
    "imageio.imsave": Writer(0, ("uri",), kinds=PICTURES),
    "imageio.v2.imwrite": Writer(0, ("uri",), kinds=PICTURES),
    "imageio.v3.imwrite": Writer(0, ("uri",), kinds=PICTURES),
    "skimage.io.imsave": Writer(0, ("fname",), kinds=PICTURES),
    "matplotlib.pyplot.imsave": Writer(0, ("fname",), kinds=PICTURES),
    "matplotlib.image.imsave": Writer(0, ("fname",), kinds=PICTURES),
    "torchvision.utils.save_image": Writer(1, ("fp",), kinds=PICTURES),
    "torchvision.io.write_png": Writer(1, ("filename",), kinds=PICTURES),
    "torchvision.io.write_jpeg": Writer(1, ("filename",), kinds=PICTURES),
    "logging.basicConfig": Writer(1_000, ("filename",)),
    "logging.FileHandler": Writer(0, ("filename",)),
    "pandas.ExcelWriter": Writer(0, ("path",), kinds=(".xlsx", ".xls")),
    "urllib.request.urlretrieve": Writer(1, ("filename",)),
    "os.makedirs": Writer(0, ("name",), kinds=FOLDERS),
    "os.mkdir": Writer(0, ("path",), kinds=FOLDERS),
}
# These put a file of one name at another, or, given a folder, into it under its own name.
MOVERS = {
    "shutil.copy": Writer(1, ("dst",)),
    "shutil.copy2": Writer(1, ("dst",)),
    "shutil.copyfile": Writer(1, ("dst",)),
    "shutil.move": Writer(1, ("dst",)),
    "os.rename": Writer(1, ("dst",)),
    "os.renames": Writer(1, ("new",)),
    "os.replace": Writer(1, ("dst",)),
}
# These write files whose names stand in an archive or on a server.
UNPACKERS = {"shutil.unpack_archive", "shutil.copytree", "gdown.download"}
UNPACKING_METHODS = {"extractall"}
# Whatever object they are called on, these write.
WRITING_METHODS = {
    "save": Writer(0, ("fp", "f", "file", "filename", "path"), kinds=PICTURES + WEIGHTS),
    "savefig": Writer(0, ("fname",), kinds=PICTURES),
    "to_csv": Writer(0, ("path_or_buf",)),
    "to_json": Writer(0, ("path_or_buf",)),
    "to_pickle": Writer(0, ("path",)),
    "to_excel": Writer(0, ("excel_writer",)),
    "to_parquet": Writer(0, ("path",)),
    "to_feather": Writer(0, ("path",)),
    "tofile": Writer(0, ("fid",)),
    "save_pretrained": Writer(0, ("save_directory",), kinds=WEIGHTS),
    "save_checkpoint": Writer(0, ("filepath", "filename", "path"), kinds=WEIGHTS),
}

# method of a `pathlib.Path` → whether it writes; None: it only asks
PATH_METHODS: dict[str, bool | None] = {
    "open": False,  # or as its mode says
    "read_text": False,
    "read_bytes": False,
    "write_text": True,
    "write_bytes": True,
    "touch": True,
    "mkdir": True,
    "exists": None,
    "is_file": None,
    "is_dir": None,
    "stat": None,
}
# Only a path has these, so that a path is written to even where it is not known which.
ONLY_OF_PATHS = {"write_text", "write_bytes"}
QUESTIONS = {
    "os.path.exists",
    "os.path.isfile",
    "os.path.isdir",
    "os.path.lexists",
    "os.access",
    "os.stat",
    "os.path.getsize",
}

# Where a folder is listed: `optional` where none of that name is as good as an empty one.
LISTERS = {
    "os.listdir": Reader(0, "path"),
    "os.scandir": Reader(0, "path"),
    "os.walk": Reader(0, "top", optional=True),
}
GLOBBERS = {
    "glob.glob": Reader(0, "pathname", optional=True),
    "glob.iglob": Reader(0, "pathname", optional=True),
}
LISTING_METHODS = {"iterdir": False, "glob": True, "rglob": True}  # → whether `optional`
