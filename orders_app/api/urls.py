from django.urls import path

from orders_app.api.orders import OrderViewSet

urlpatterns = [
    path("orders", OrderViewSet.as_view({"get": "list", "post": "create"})),
    path("orders/<str:order_id>", OrderViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
]
