"""Runs and times the block in OpenVINO, from a model made here."""
import numpy as np
import openvino
from openvino import opset13 as ops

from common import EPS, Skip, measure_forms, serve
from shapes import GROUPS


def reshape(value, *shape):
    return ops.reshape(value, np.array(shape, np.int64), special_zero=False)


def swap(value):
    return ops.transpose(value, np.array([0, 2, 1]))


def softmax_of(scores, block):
    return ops.softmax(ops.multiply(scores, np.float32(block.scale)), axis=-1)


def norm(x, block):
    return ops.group_normalization(x, block.gamma, block.beta, GROUPS, EPS)


def conv(value, weight, bias):
    """A 1x1 convolution of [B, C, H, W]."""
    plain = ops.convolution(value, weight[:, :, None, None], [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(plain, bias[None, :, None, None])


def linear(tokens, weight, bias):
    return ops.add(ops.matmul(tokens, weight, False, True), bias)


def conv_softmax(block, x):
    batch = block.x.shape[0]
    qkv = conv(norm(x, block), block.qkv_weight, block.qkv_bias)
    q, k, v = ops.split(reshape(qkv, batch, 3 * block.channels, block.tokens), 1, 3).outputs()
    mixed = ops.matmul(v, softmax_of(ops.matmul(q, k, True, False), block), False, True)
    return conv(reshape(mixed, *block.x.shape), block.out_weight, block.out_bias)


def of_tokens(block, x, mix):
    """The block by matrix products, with mix(q, k, v) between them."""
    tokens = swap(reshape(norm(x, block), block.x.shape[0], block.channels, block.tokens))
    q, k, v = ops.split(linear(tokens, block.qkv_weight, block.qkv_bias), 2, 3).outputs()
    return reshape(swap(linear(mix(q, k, v), block.out_weight, block.out_bias)), *block.x.shape)


def matmul_softmax(block, x):
    return of_tokens(block, x, lambda q, k, v: ops.matmul(
        softmax_of(ops.matmul(q, k, False, True), block), v, False, False))


def matmul_fused(block, x):
    shape = (block.x.shape[0], 1, block.tokens, block.channels)
    return of_tokens(block, x, lambda *qkv: reshape(
        ops.scaled_dot_product_attention(*(reshape(part, *shape) for part in qkv)),
        shape[0], block.tokens, block.channels))


def form(graph, precision):
    def make(block):
        x = ops.parameter(block.x.shape, np.float32)
        model = openvino.Model([ops.add(x, graph(block, x))], [x], "attention")
        # float32 is not the default on processors that have bfloat16.
        compiled = openvino.Core().compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(block.threads),
            "INFERENCE_PRECISION_HINT": precision})
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(block.x, shared_memory=True))
        return (lambda: request.infer(share_outputs=True)), (lambda: request.get_output_tensor().data)

    return make


def measure(job, _):
    if job.precision.upper() not in {"F32", *openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")}:
        raise Skip(f"OpenVINO has no {job.precision} on this processor")
    forms = {"conv, softmax": conv_softmax, "matmul, softmax": matmul_softmax, "matmul, fused attention": matmul_fused}
    return measure_forms(job, openvino.__version__.split("-")[0],
                         {name: form(graph, job.precision) for name, graph in forms.items()})


if __name__ == "__main__":
    serve(measure)
