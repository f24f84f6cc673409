"""An extension with endpoints for each kind of result, error and parameter."""

import asyncio

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse

from app.core.errors import Forbidden, UnprocessableContent
from app.extensions.rights import act_as_system

DONE: list[str] = []


async def emails(request, directory):
    return await directory["users"].read_by_query({"fields": ["email"], "sort": ["email"]})


async def counted_by_system(request, directory):
    return {"all": await (await act_as_system(directory))["users"].count()}


async def retitle_as_system(request, directory):
    body = await request.json()
    return await (await act_as_system(directory))["users"].update_one(body["id"], {"title": body["title"]})


async def parameters(request, directory):
    return {"path": request.path_params, "query": dict(request.query_params), "as_sent": request.url.path}


async def echo(request, directory):
    return await request.json()


async def form(request, directory):
    values = await request.form()
    return {name: value if isinstance(value, str) else (await value.read()).decode() for name, value in values.items()}


async def nothing(request, directory):
    return None


async def unprocessable(request, directory):
    raise UnprocessableContent("The moon is not full")


async def forbidden(request, directory):
    raise Forbidden


async def broken(request, directory):
    raise RuntimeError("the secret of the extension")


async def unserializable(request, directory):
    return object()


async def teapot(request, directory):
    response = JSONResponse({"tea": True}, 418, {"x-tea": "green", "cache-control": "public, max-age=9", "vary": "Tea"})
    response.set_cookie("tea", "1")
    response.set_cookie("pot", "2")
    return response


async def page(request, directory):
    return HTMLResponse("<p>hello</p>", headers={"content-security-policy": "default-src 'self'"})


async def moved(request, directory):
    return RedirectResponse("/server/ping")


async def stream(request, directory):
    async def chunks():
        for number in range(3):
            yield f"{number};"
            await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/plain", background=BackgroundTask(DONE.append, "stream"))


async def file(request, directory):
    return FileResponse(__file__, media_type="text/x-python")


def register(extend):
    extend.endpoint("/probe/emails")(emails)
    extend.endpoint("/probe/count")(counted_by_system)
    extend.endpoint("/probe/title", methods=["PATCH"])(retitle_as_system)
    extend.endpoint("/probe/items/{number:int}/{name}")(parameters)
    extend.endpoint("/probe", methods=["POST", "PATCH"])(echo)
    extend.endpoint("/probe/form", methods=["POST"])(form)
    for function in (nothing, unprocessable, forbidden, broken, unserializable, teapot, page, moved, stream, file):
        extend.endpoint(f"/probe/{function.__name__}")(function)
