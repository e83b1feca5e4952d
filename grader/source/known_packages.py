"""Names of well-known packages, as they are imported.

An import that is neither standard, nor allowed, nor a file of the submission is either a package
that the course's machine lacks or a file that was left out of the zip. The two need different
advice, and the name is all there is to tell them apart.
"""

from __future__ import annotations

# Left out: names that students give their own files more often (datasets, clip, lime, …).
_NAMES = """
    IPython PIL accelerate albumentations apex attr boto3 bs4 captum catboost click comet_ml
    cupy cv2 dask dateutil detectron2 diffusers dill dotenv efficientnet_pytorch einops
    faiss fastai filelock flask flax ftfy fvcore gdown gradio graphviz h5py huggingface_hub
    hydra ignite imageio imageio_ffmpeg imgaug imutils ipywidgets jax joblib kaggle kagglehub keras
    kornia lightgbm lightning loguru lpips lxml matplotlib medmnist mlflow mmcv mmdet monai
    networkx nltk numba numpy nvidia omegaconf onnx onnxruntime open_clip openai openpyxl
    optuna pandas peft pkg_resources plotly polars prettytable psutil pycocotools pydantic
    pydensecrf pydicom pynvml pytest pytorch_grad_cam pytorch_lightning pytorch_metric_learning
    pytz regex requests rich ruamel safetensors scikitplot scipy seaborn segment_anything
    segmentation_models_pytorch selenium sentencepiece setuptools shap simplejson six skimage
    sklearn skorch spacy statsmodels streamlit submitit sympy tabulate tensorboard
    tensorboardX tensorflow termcolor tf_keras thop tifffile timm tokenizers toml torch
    torch_geometric torch_optimizer torch_xla torchaudio torchcam torchinfo torchmetrics
    torchsummary torchtext torchvision torchviz tqdm transformers typer typing_extensions
    ultralytics umap urllib3 visdom wandb webdataset xarray xgboost xformers yacs yaml
"""

KNOWN_PACKAGES = frozenset(_NAMES.split())
